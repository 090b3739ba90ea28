import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import { register, send, type Answer } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Postgresql } from './support/postgresql.ts'
import { memoryOf, noProc } from './support/proc.ts'
import { Proxy } from './support/proxy.ts'
import { Server } from './support/server.ts'

const [poolSize, queueSize] = [10, 100]
const [seconds, perSecond] = [15, 60]

fault(
  'PostgreSQL 500 ms further away',
  {
    promise: 'Answers are right or 503 with Retry-After; the requests in flight and memory stay bounded',
    on: ['postgresql'],
    cannot: noProc,
  },
  async ({ project }) => {
    const postgresql = await Postgresql.start()
    const proxy = await Proxy.start(postgresql.port)
    const server = await Server.start(project, proxy.through(postgresql.url), {
      DATABASE_POOL_SIZE: String(poolSize),
      DATABASE_QUEUE_SIZE: String(queueSize),
    })
    const token = await register(server.address)
    const acknowledged: string[] = []
    const wrong: Answer[] = []
    let [refused, inFlight, most] = [0, 0, 0]
    async function write() {
      const name = randomUUID()
      most = Math.max(most, ++inFlight)
      const answer = await send(`${server.address}/api/v1/items`, { body: { name }, token })
      inFlight--
      if (answer.status === 201 && answer.body.includes(name)) acknowledged.push(name)
      else if (answer.status === 503 && answer.headers['retry-after'] !== undefined) refused++
      else wrong.push(answer)
    }
    /** So many come each second, whether the others were answered or not. */
    async function arrive(length: number) {
      const requests = []
      for (let n = 0; n < length * perSecond; n++) {
        requests.push(write())
        await sleep(1000 / perSecond)
      }
      await Promise.all(requests)
    }

    await arrive(5)
    const memory = memoryOf(server.program.pid)
    const quick = acknowledged.length
    proxy.latency = 250
    await arrive(seconds)
    const grown = memoryOf(server.program.pid) - memory
    const slow = acknowledged.length - quick
    const atOnce = most
    proxy.latency = 0
    const refusedSlow = refused
    // Once it has seen for a second that nobody waits any more.
    await vi.waitFor(async () => {
      const before = refused
      await arrive(1)
      expect(refused - before).toBe(0)
    }, 20_000)

    expect(wrong).toEqual([])
    const { lost, doubled } = await lostAndDoubled(postgresql.url, acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    expect(slow).toBeGreaterThan(0)
    expect(atOnce).toBeLessThanOrEqual(poolSize + queueSize)
    expect(grown).toBeLessThan(64)
    return {
      done: `500 ms added to each round trip for ${seconds} s, while ${perSecond} writes came each second`,
      seen: `${slow} written, ${refusedSlow} times 503; ${atOnce} requests in flight at most; ${grown} MiB more memory; afterwards every write answered with 201`,
    }
  },
)
