import { randomUUID } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { findFault, type Operation } from '../support/linearizability.ts'
import { register, send, type Answer } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { Postgresql } from './support/postgresql.ts'
import { Server } from './support/server.ts'

const clients = 20
const restarts = 3

/** What an item was in an answer: its description, and the version that its tag ends with. */
const stateIn = ({ headers, body }: Answer) => ({
  value: (JSON.parse(body) as { data: { description: string } }).data.description,
  version: Number(/\.(\d+)"$/.exec(headers.etag ?? '')?.[1]),
})

/** Clients that read one item and change it, if it is still as they read it. Each change is of its own. */
function startClients(url: string, token: string) {
  const stopped = new AbortController()
  const history: Operation[] = []
  const statuses: Record<string, number> = {}

  async function client(name: number) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = async (method: string, asked: { body?: object; headers?: Record<string, string> } = {}) => {
      const begin = performance.now()
      const answer = await send(url, { method, token, agent, ...asked }).catch(() => undefined)
      const status = `${method} ${answer?.status ?? 'broken off'}`
      statuses[status] = (statuses[status] ?? 0) + 1
      return { answer, at: { client: name, begin, end: performance.now() } }
    }
    while (!stopped.signal.aborted) {
      const { answer, at } = await ask('GET')
      if (answer?.status !== 200) {
        await sleep(20)
        continue
      }
      const seen = stateIn(answer)
      history.push({ ...at, kind: 'read', ...seen })
      const value = randomUUID()
      const change = await ask('PATCH', { body: { description: value }, headers: { 'if-match': answer.headers.etag! } })
      const { status } = change.answer ?? {}
      const { end, ...begun } = change.at
      // Any other answer leaves it open.
      const isKnown = status === 200 || status === 412
      const version = status === 200 ? stateIn(change.answer!).version : undefined
      const set = { kind: 'compare-and-set' as const, expected: seen.version, value, version }
      history.push({ ...begun, ...(isKnown && { end }), ...set })
    }
    agent.destroy()
  }
  const running = Array.from({ length: clients }, (_, name) => client(name))

  return {
    history,
    statuses,
    async more(operations: number) {
      for (const enough = history.length + operations; history.length < enough;) await sleep(5)
    },
    async stop() {
      stopped.abort()
      await Promise.all(running)
    },
  }
}

fault(
  'a database that restarts under a register',
  { promise: 'If-Match loses no update: the history of twenty clients on one item is linearizable', quick: true },
  async ({ kind, project }) => {
    const postgresql = kind === 'postgresql' ? await Postgresql.start() : undefined
    const server = await Server.start(project, postgresql?.url ?? (await freshDatabase(kind)))
    const token = await register(server.address)
    const items = `${server.address}/api/v1/items`
    const made = await send(items, { body: { name: 'A register', description: 'new' }, token })
    const { public_id } = (JSON.parse(made.body) as { data: { public_id: string } }).data
    const initial = stateIn(made)
    const running = startClients(`${items}/${public_id}`, token)
    for (let restart = 0; restart < restarts; restart++) {
      await running.more(150)
      await sleep(Math.random() * 50)
      if (postgresql) await postgresql.stop(restart % 2 ? 'fast' : 'immediate')
      else await server.kill()
      await (postgresql ?? server).start()
      await server.untilReady()
    }
    await running.more(150)
    await running.stop()

    const { history, statuses } = running
    expect(findFault(history, initial)).toBeUndefined()
    const possible = ['GET 200', 'GET 503', 'GET broken off', 'PATCH 200', 'PATCH 412', 'PATCH 503', 'PATCH broken off']
    expect(possible).toEqual(expect.arrayContaining(Object.keys(statuses)))
    const open = history.filter(({ end }) => end === undefined).length
    return {
      done: `${postgresql ? 'PostgreSQL restarted' : 'the server killed'} ${restarts} times while ${clients} clients read and changed one item`,
      seen: `${statuses['GET 200']} reads, ${statuses['PATCH 200']} changes, ${statuses['PATCH 412']} refused as stale, ${open} without an answer: linearizable`,
    }
  },
)
