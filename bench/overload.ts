// What does the server do with more requests than it can carry? It should shed the surplus with 503 and
// Retry-After, and answer the others about as fast as ever.
//
//   npm run bench:overload -- [--seconds 10] [--database sqlite] [--settings OVERLOAD_DELAY_MS=20] [--json file]
//
// On both databases. First what the server can carry: 64 clients, each of which sends the next request when it
// has the answer. Then half of that, as much, twice and four times as much, at a fixed rate, however long the
// answers take, over as many as 2000 kept-alive connections; with shedding and without. Of ten requests eight
// read one item, one reads a list of 20, and one changes an item. The first seconds of each load do not count. The server
// has a core to itself where `taskset` can give it one; clients and PostgreSQL share the others.
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { DatabaseKind } from '../tests/support/databases.ts'
import type { LoadOrder, LoadTally } from './overload-clients.ts'
import { machine, writeJson } from './report/results.ts'
import { quantile, table } from './support/figures.ts'
import { pin, serverCore } from './support/processes.ts'
import { newEmail, register, send } from './support/requests.ts'
import { databaseKinds, onWorkbench, type Server, type Workbench } from './support/workbench.ts'

/** Of what the server can carry. */
const loads = [0.5, 1, 2, 4]
const warmUp = 3

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    database: { type: 'string', multiple: true, default: databaseKinds },
    settings: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
  },
})
const seconds = Number(options.seconds)
const given = Object.fromEntries(options.settings.map((setting) => setting.split('=', 2) as [string, string]))

/** What is sent, ready for the wire. */
async function requestsTo(server: Server): Promise<string[]> {
  const token = await register(server, newEmail(), randomUUID())
  const item = { name: 'Mend the garden shed', description: 'Before the winter', priority: 3 }
  const ids: string[] = []
  while (ids.length < 40) {
    const { body } = await send(`${server.address}/api/v1/items`, { body: item, token })
    ids.push((JSON.parse(body) as { data: { public_id: string } }).data.public_id)
  }
  const get = (path: string) => `GET /api/v1/items${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const change = JSON.stringify({ priority: 4 })
  const patch = (id: string) =>
    `PATCH /api/v1/items/${id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${change.length}\r\n\r\n${change}`
  return ids.flatMap((id, index) => [
    get(`/${id}`),
    ...(index % 8 === 3 ? [get('')] : []),
    ...(index % 8 === 7 ? [patch(id)] : []),
  ])
}

async function load(order: LoadOrder): Promise<LoadTally> {
  const child = fork(join(import.meta.dirname, 'overload-clients.ts'), [JSON.stringify(order)])
  const [tally] = (await once(child, 'message')) as [LoadTally]
  await once(child, 'close')
  return tally
}

interface Result {
  load: number
  shedding: boolean
  offered: number
  accepted: number
  shed: number
  unsent: number
  others: number
  without_retry_after: number
  p50_ms: number
  p99_ms: number
}

async function measure(bench: Workbench, kind: DatabaseKind) {
  const overrides = { RATE_LIMIT_ENABLED: 'false', ...given }
  const variants = await Promise.all(
    [{ ...overrides, OVERLOAD_DELAY_MS: '0' }, overrides].map(async (settings, index) => {
      const server = await bench.startServer(kind, settings)
      pin(server.pid, serverCore)
      return {
        shedding: index === 1,
        server,
        order: { address: server.address, requests: await requestsTo(server), warmUp, seconds },
      }
    }),
  )
  const closed = []
  for (const { order } of variants) closed.push(await load({ ...order, connections: 64 }))
  const carried = closed.map(({ accepted }) => accepted / seconds)
  const capacity = Math.max(...carried)

  const results: Result[] = []
  for (const times of loads)
    for (const { shedding, order } of variants) {
      const tally = await load({ ...order, rate: capacity * times, connections: 2000 })
      results.push({
        load: times,
        shedding,
        offered: capacity * times,
        accepted: tally.accepted / seconds,
        shed: tally.shed / seconds,
        unsent: tally.unsent / seconds,
        others: tally.others / seconds,
        without_retry_after: tally.withoutRetryAfter,
        p50_ms: quantile(tally.times, 0.5),
        p99_ms: quantile(tally.times, 0.99),
      })
    }
  for (const { server } of variants) await server.stop()
  return { database: kind, carried, closed_p99_ms: closed.map(({ times }) => quantile(times, 0.99)), results }
}

export type OverloadReport = Awaited<ReturnType<typeof measure>>

function print({ database, carried, closed_p99_ms, results }: OverloadReport): void {
  const capacity = Math.max(...carried)
  const [off = Number.NaN, on = Number.NaN] = carried
  const base = results.find(({ load: times, shedding }) => times === 0.5 && shedding)?.p99_ms ?? Number.NaN
  console.log(`
${database}: 64 clients in turn get ${off.toFixed(0)} answers a second without shedding (p99 ${closed_p99_ms[0]!.toFixed(0)} ms), ${on.toFixed(0)} with it (p99 ${closed_p99_ms[1]!.toFixed(0)} ms)
`)
  const rows = results.map((result) => [
    `${result.load} × ${result.shedding ? 'with' : 'without'}`,
    ...[result.offered, result.accepted, result.shed, result.unsent, result.others].map((rate) => rate.toFixed(0)),
    (result.accepted / capacity).toFixed(2),
    result.p50_ms.toFixed(1),
    result.p99_ms.toFixed(1),
    (result.p99_ms / base).toFixed(1),
    String(result.without_retry_after),
  ])
  console.log(
    table([
      [
        'load, shedding',
        'offered/s',
        'accepted/s',
        'shed/s',
        'unsent/s',
        'others/s',
        'accepted/carried',
        'p50 ms',
        'p99 ms',
        'p99/p99 at half',
        'no Retry-After',
      ],
      ...rows,
    ]),
  )
}

await onWorkbench(async (bench) => {
  const reports: OverloadReport[] = []
  for (const kind of databaseKinds.filter((name) => options.database.includes(name))) {
    const report = await measure(bench, kind)
    print(report)
    reports.push(report)
  }
  if (options.json !== undefined) writeJson(options.json, { ...machine(), overload: reports })
})
