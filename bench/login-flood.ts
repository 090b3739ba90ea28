// What does a flood of sign-ins do to everybody else? Hashing is bounded, so other requests should still be
// answered soon, memory should stay within its bounds, and the surplus should be told to come again later.
//
//   npm run bench:login-flood -- [--clients 200] [--seconds 15] [--json file]
//
// On both databases, with the default Argon2 parameters, from one address: the time of `GET /health` and the
// resident memory of the server, before, during and after. 20 times a second it is asked twice: on a connection
// that was there before, and on a new one, which Node.js takes in at one for each turn of its event loop, in
// line with those of the flood. Sign-ins in a second are told against what Argon2 alone does on the machine, with
// the same parameters, as many at once. Clients, server and database share its cores, and with whatever else
// runs: of the two figures for Argon2 alone, before and after, the difference is the noise.
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { hash, verify } from '@node-rs/argon2'
import type { DatabaseKind } from '../tests/support/databases.ts'
import { settings } from '../tests/support/settings.ts'
import type { FloodOrder, Tally } from './flood-clients.ts'
import { machine, writeJson } from './report/results.ts'
import { quantile, table } from './support/figures.ts'
import { residentMemory } from './support/processes.ts'
import { newEmail, register, send } from './support/requests.ts'
import { databaseKinds, onWorkbench, type Server, type Workbench } from './support/workbench.ts'

/** Milliseconds from one probe, and one look at the memory, to the next. */
const interval = 50
/** Fewer than one address may register in an hour. */
const accounts = 40
/** Seconds before the flood, and after it. */
const rest = 5
/** Seconds for which Argon2 alone is measured. */
const aloneFor = 3

const { values: options } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '15' },
    json: { type: 'string' },
  },
})
const clients = Number(options.clients)
const seconds = Number(options.seconds)

interface Scenario {
  name: string
  settings: Record<string, string>
  patient: boolean
}

const scenarios: Scenario[] = [
  {
    name: 'no throttling, clients that try again at once',
    settings: { RATE_LIMIT_ENABLED: 'false' },
    patient: false,
  },
  {
    name: 'no throttling, clients that wait as they are told',
    settings: { RATE_LIMIT_ENABLED: 'false' },
    patient: true,
  },
  { name: 'all defaults, clients that try again at once', settings: {}, patient: false },
]

interface Phase {
  kept_p50_ms: number
  kept_p99_ms: number
  new_p50_ms: number
  new_p99_ms: number
  /** Probes that were not answered with 200. */
  failed: number
  peak_mib: number
}

/** Probes the server and looks at its memory for some seconds. */
async function observe({ address, pid }: Server, kept: Agent, lasting: number): Promise<Phase> {
  const onKept: Promise<number>[] = []
  const onNew: Promise<number>[] = []
  let peak_mib = 0
  const begin = performance.now()
  for (let tick = 0; tick * interval < lasting * 1000; tick++) {
    // At its time, whatever became of the last one: a server that stalls delays many, not one.
    await sleep(Math.max(begin + tick * interval - performance.now(), 0))
    onKept.push(probe(address, kept))
    onNew.push(probe(address))
    peak_mib = Math.max(peak_mib, residentMemory(pid))
  }
  const [keptTimes, newTimes] = await Promise.all([Promise.all(onKept), Promise.all(onNew)])
  return {
    kept_p50_ms: quantile(keptTimes, 0.5),
    kept_p99_ms: quantile(keptTimes, 0.99),
    new_p50_ms: quantile(newTimes, 0.5),
    new_p99_ms: quantile(newTimes, 0.99),
    failed: [...keptTimes, ...newTimes].filter((time) => time === Infinity).length,
    peak_mib,
  }
}

/** Milliseconds; for ever when it is not answered with 200. */
const probe = (address: string, agent?: Agent) =>
  send(`${address}/health`, { method: 'GET', ...(agent && { agent }) }).then(
    ({ status, milliseconds }) => (status === 200 ? milliseconds : Infinity),
    () => Infinity,
  )

/** Connections that are there before the flood: as many as may be in use at once when a probe takes a second. */
async function openConnections(address: string): Promise<Agent> {
  const agent = new Agent({ keepAlive: true })
  await Promise.all(Array.from({ length: 1000 / interval }, () => probe(address, agent)))
  return agent
}

/** Verifications in a second that the machine does when it does nothing else, as many at once as the server does. */
async function argon2Alone(): Promise<number> {
  const { ARGON2_MEMORY_COST, ARGON2_TIME_COST, ARGON2_PARALLELISM } = defaults
  const parameters = { memoryCost: ARGON2_MEMORY_COST, timeCost: ARGON2_TIME_COST, parallelism: ARGON2_PARALLELISM }
  const stored = await hash('a password', parameters)
  const begin = performance.now()
  let verified = 0
  const verifyOnAndOn = async () => {
    for (; performance.now() - begin < aloneFor * 1000; verified++) await verify(stored, 'a password')
  }
  await Promise.all(Array.from({ length: availableParallelism() }, verifyOnAndOn))
  return verified / ((performance.now() - begin) / 1000)
}

/** Those of a server to which nothing is said about hashing. */
const defaults = settings({ ARGON2_MEMORY_COST: '', ARGON2_TIME_COST: '', ARGON2_PARALLELISM: '' })

/** Runs the clients while `work` runs. */
async function during<T>(order: FloodOrder, work: () => Promise<T>): Promise<[T, Tally]> {
  const child = fork(join(import.meta.dirname, 'flood-clients.ts'), [JSON.stringify(order)])
  await once(child, 'message')
  const result = await work()
  const tally = once(child, 'message')
  child.send('stop')
  const [told] = (await tally) as [Tally]
  child.disconnect()
  return [result, told]
}

async function measure(bench: Workbench, kind: DatabaseKind, scenario: Scenario) {
  const server = await bench.startServer(kind, scenario.settings)
  const emails = Array.from({ length: accounts }, newEmail)
  const password = randomUUID()
  for (const email of emails) await register(server, email, password)

  const alone = [await argon2Alone()]
  const kept = await openConnections(server.address)
  const before = await observe(server, kept, rest)
  const order = { address: server.address, clients, emails, password, patient: scenario.patient }
  const [meanwhile, tally] = await during(order, () => observe(server, kept, seconds))
  const after = await observe(server, kept, rest)
  kept.destroy()
  alone.push(await argon2Alone())
  await server.stop()
  return { database: kind, scenario: scenario.name, before, during: meanwhile, after, alone, ...summary(tally, alone) }
}

function summary({ seconds: lasted, statuses, withoutRetryAfter, times }: Tally, alone: number[]) {
  const perSecond = times.length / lasted
  return {
    sign_ins_per_second: perSecond,
    /** Against Argon2 alone, the mean of before and after. */
    ratio_to_argon2: (perSecond * alone.length) / alone.reduce((sum, rate) => sum + rate, 0),
    sign_in_p50_ms: quantile(times, 0.5),
    sign_in_p99_ms: quantile(times, 0.99),
    statuses,
    without_retry_after: withoutRetryAfter,
  }
}

export type FloodReport = Awaited<ReturnType<typeof measure>>

function print(report: FloodReport): void {
  const { before, during: meanwhile, after, statuses, alone } = report
  const row = (name: string, of: keyof Phase) => {
    const figures = [before[of], meanwhile[of], after[of]]
    const ratios = [meanwhile[of] / before[of], after[of] / before[of]]
    return [name, ...figures.map((value) => value.toFixed(1)), ...ratios.map((value) => value.toFixed(2))]
  }
  const refused = (statuses[429] ?? 0) + (statuses[503] ?? 0)
  const divided = Object.entries(statuses).map(([status, count]) => `${count} × ${status === '0' ? 'none' : status}`)
  const failed = before.failed + meanwhile.failed + after.failed
  console.log(`\n${report.database}, ${clients} clients, ${report.scenario}\n`)
  console.log(
    table([
      ['', 'before', 'during', 'after', 'during/before', 'after/before'],
      row('/health, kept connection, p50 ms', 'kept_p50_ms'),
      row('/health, kept connection, p99 ms', 'kept_p99_ms'),
      row('/health, new connection, p50 ms', 'new_p50_ms'),
      row('/health, new connection, p99 ms', 'new_p99_ms'),
      row('peak memory, MiB', 'peak_mib'),
    ]),
  )
  console.log(`
Probes without a 200: ${failed}
Answers: ${divided.join(', ')}
Retry-After on 429 and 503: ${refused - report.without_retry_after} of ${refused}
Sign-ins that were looked at: ${report.sign_ins_per_second.toFixed(1)} a second, p50 ${(report.sign_in_p50_ms / 1000).toFixed(1)} s, p99 ${(report.sign_in_p99_ms / 1000).toFixed(1)} s
Against Argon2 alone (${alone.map((rate) => rate.toFixed(1)).join(' a second before, ')} after): ${report.ratio_to_argon2.toFixed(2)}`)
}

await onWorkbench(async (bench) => {
  const reports: FloodReport[] = []
  for (const kind of databaseKinds)
    for (const scenario of scenarios) {
      const report = await measure(bench, kind, scenario)
      print(report)
      reports.push(report)
    }
  if (options.json !== undefined) writeJson(options.json, { ...machine(), logins: reports })
})
