// A soak of one server: baseline, traffic, and back to the baseline.
import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { DatabaseKind } from '../../tests/support/databases.ts'
import { addRows } from '../load/world.ts'
import { quantile } from '../support/figures.ts'
import { template, type Server, type Workbench } from '../support/workbench.ts'
import type { SoakOrder } from './clients.ts'
import { fillMemory } from './fill.ts'
import type { Sample } from './series.ts'
import { add, emptyTally, type Tally } from './tally.ts'
import { watch, type Watch } from './watch.ts'

/** Milliseconds from one sample to the next. */
const interval = 5000
/** Looks at the memory in that time. */
const looks = 10
/** Items in the table that nobody touches. */
const standing = 2000
/** Seconds in which the server has to come to rest: its pool closes a connection that is idle for ten. */
const restWithin = 30

/** What the server holds on to while nobody asks it anything; of SQLite it has no connections. */
export const restNames = ['descriptors', 'connections', 'active', 'in_transaction'] as const
type Rest = Partial<Record<(typeof restNames)[number], number>>

export interface SoakRun {
  database: DatabaseKind
  before: Rest
  after: Rest
  /** Seconds from the last answer until it was at rest; undefined if it was not in time. */
  rest_seconds?: number
  tally: Omit<Tally, 'times'>
  samples: Sample[]
}

/** The real server, that tells what it looks like from inside. */
async function startServer(bench: Workbench, kind: DatabaseKind, inside: string): Promise<Server> {
  const [node, ...parameters] = template.command
  const module = pathToFileURL(join(import.meta.dirname, 'inside.ts')).href
  const settings = { RATE_LIMIT_ENABLED: 'false', SOAK_FILE: inside, SOAK_INTERVAL_MS: String(interval) }
  return bench.startServer(kind, settings, { command: [node!, '--import', module, ...parameters] })
}

/** What the clients say next, to an order if one is given. @throws Error when they end instead */
function answerOf<T>(clients: ChildProcess, order?: 'tell' | 'stop'): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const fail = () => reject(new Error('The clients have ended'))
  clients.once('message', resolve).once('exit', fail)
  if (order) clients.send(order)
  return promise.finally(() => clients.off('message', resolve).off('exit', fail))
}

const restOf = (sample: Partial<Sample>): Rest =>
  Object.fromEntries(restNames.flatMap((name) => (sample[name] === undefined ? [] : [[name, sample[name]]])))

/** Waits until the server holds on to no more than `limits`, and gives what it holds on to then. */
async function comeToRest(seen: Watch, limits: Rest) {
  const begin = performance.now()
  for (;;) {
    const now = restOf(await seen.sample())
    const seconds = (performance.now() - begin) / 1000
    if (restNames.every((name) => (now[name] ?? 0) <= (limits[name] ?? Infinity))) return { now, seconds }
    if (seconds > restWithin) return { now }
    await sleep(500)
  }
}

const answersOf = ({ statuses, times }: Tally, seconds: number) => ({
  answers: Object.values(statuses).reduce((sum, number) => sum + number, 0) / seconds,
  refused: (statuses[503] ?? 0) / seconds,
  answer_p50_ms: quantile(times, 0.5),
  answer_p99_ms: quantile(times, 0.99),
})

/** One sample after the other, until the time is over. */
async function record(seen: Watch, clients: ChildProcess, minutes: number, tally: Tally): Promise<Sample[]> {
  const samples: Sample[] = []
  const begin = performance.now()
  let last = begin
  for (let number = 1; number * interval <= minutes * 60_000; number++) {
    for (let look = 1; look <= looks; look++) {
      await sleep(Math.max(begin + (number - 1 + look / looks) * interval - performance.now(), 0))
      seen.lookAtMemory()
    }
    const told = await answerOf<Tally>(clients, 'tell')
    const now = performance.now()
    const answered = answersOf(told, (now - last) / 1000)
    last = now
    samples.push({ minute: (now - begin) / 60_000, ...answered, ...(await seen.sample()) })
    add(tally, { ...told, times: [] })
  }
  return samples
}

/** Puts one server on a fresh database under mixed traffic, for some minutes. */
export async function soak(bench: Workbench, kind: DatabaseKind, rate: number, minutes: number): Promise<SoakRun> {
  const inside = join(mkdtempSync(join(tmpdir(), 'soak-')), 'inside.jsonl')
  const server = await startServer(bench, kind, inside)
  const order: SoakOrder = { address: server.address, rate }
  const seen = await watch(server, kind, inside)
  const clients = fork(join(import.meta.dirname, 'clients.ts'), [JSON.stringify(order)])
  try {
    await answerOf(clients)
    await addRows(server.databaseUrl, standing)
    await fillMemory(server.address)
    // Of a pool nothing need be left.
    await comeToRest(seen, { connections: 0, active: 0, in_transaction: 0 })
    const before = restOf(await seen.sample())

    const tally = emptyTally()
    clients.send('start')
    const samples = await record(seen, clients, minutes, tally)
    add(tally, await answerOf<Tally>(clients, 'stop'))
    const { now: after, seconds } = await comeToRest(seen, before)
    const { times: _, ...told } = tally
    const rest = seconds === undefined ? {} : { rest_seconds: seconds }
    return { database: kind, before, after, ...rest, tally: told, samples }
  } finally {
    clients.kill()
    await seen.close()
  }
}
