// Does the time, or anything else, of a refused sign-in tell whether an account exists? It should not (OWASP
// ASVS 6.3.8): for each reason of a refusal, the median of the time against that of a wrong password, and the
// time that a tenth of the answers stay under, which a patient attacker would look at: it hides little noise.
//
//   npm run bench:login-times -- [--samples 200] [--json file]
//
// On both databases, with the default Argon2 parameters and no throttling. The reasons come one after another,
// each once in a round and each round in an order of its own, so that whatever else the machine does meets
// them all alike. What is left of that shows in the line A/A: the same case as the first, counted apart.
import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { parseArgs } from 'node:util'
import { openDatabase } from '../src/db/database.ts'
import type { DatabaseKind } from '../tests/support/databases.ts'
import { settings } from '../tests/support/settings.ts'
import { quantile, table } from './support/figures.ts'
import { newEmail, register, send, type Answer } from './support/requests.ts'
import { databaseKinds, onWorkbench, type Server, type Workbench } from './support/workbench.ts'

/** Accounts of each sort. */
const accounts = 10
/** Rounds before those that count: code gets compiled, connections opened, the dummy hash made. */
const warmUp = 10
const resamplings = 2000

const { values: options } = parseArgs({
  options: { samples: { type: 'string', default: '200' }, json: { type: 'string' } },
})
const samples = Number(options.samples)

interface Credentials {
  email: string
  password: string
}

/** What a round sends, by the reason that it is refused for. */
type Attempts = Record<string, (round: number) => Credentials>

/** Times in milliseconds by reason, one for each round, and the forms of the answers with the reasons that got them. */
interface Series {
  times: Record<string, number[]>
  forms: Map<string, Set<string>>
}

/** Measured twice: what the other times are compared with is the whole of it, and its halves with each other. */
const baseline = 'wrong password'
const baselineAgain = 'wrong password (A/A)'
const wrong = () => randomUUID()

/** Registers `accounts` accounts, and does something to each. */
async function prepare(server: Server, change: (token: string, email: string) => Promise<unknown> = async () => {}) {
  const made: Credentials[] = []
  while (made.length < accounts) {
    const credentials = { email: newEmail(), password: randomUUID() }
    await change(await register(server, credentials.email, credentials.password), credentials.email)
    made.push(credentials)
  }
  return (round: number) => made[round % accounts]!
}

async function prepareAttempts(server: Server): Promise<Attempts> {
  const database = openDatabase(settings({ DATABASE_URL: server.databaseUrl }))
  const active = await prepare(server)
  const deactivated = await prepare(server, async (token) => {
    const { status } = await send(`${server.address}/api/v1/users/me/deactivate`, { token })
    if (status !== 200) throw new Error(`deactivate answered ${status}`)
  })
  // There is no such request: it is done as an operator would.
  const deleted = await prepare(server, (_token, email) =>
    database.query().updateTable('users').set({ deleted_at: database.clock() }).where('email', '=', email).execute(),
  )
  await database.close()
  return {
    [baseline]: (round) => ({ ...active(round), password: wrong() }),
    [baselineAgain]: (round) => ({ ...active(round + 1), password: wrong() }),
    'unknown e-mail': () => ({ email: newEmail(), password: wrong() }),
    'deactivated account, right password': deactivated,
    'deactivated account, wrong password': (round) => ({ ...deactivated(round), password: wrong() }),
    'deleted account, right password': deleted,
  }
}

/** What a client can see of an answer, but for what differs in any two answers. */
function formOf({ status, headers, body }: Answer): string {
  const { request_id: _id, timestamp: _time, ...rest } = JSON.parse(body) as Record<string, unknown>
  return JSON.stringify({ status, headers: headers.filter(([name]) => !['date', 'x-request-id'].includes(name)), rest })
}

const shuffled = <T>(values: T[]): T[] =>
  values
    .map((value) => ({ value, place: Math.random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ value }) => value)

async function measure({ address }: Server, attempts: Attempts): Promise<Series> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const reasons = Object.keys(attempts)
  const times: Series['times'] = Object.fromEntries(reasons.map((reason) => [reason, []]))
  const forms: Series['forms'] = new Map()
  for (let round = -warmUp; round < samples; round++)
    for (const reason of shuffled(reasons)) {
      const body = attempts[reason]!(round + warmUp)
      const answer = await send(`${address}/api/v1/auth/login`, { body, agent })
      const form = formOf(answer)
      forms.set(form, (forms.get(form) ?? new Set()).add(reason))
      if (round >= 0) times[reason]!.push(answer.milliseconds)
    }
  agent.destroy()
  return { times, forms }
}

/** The ratio of two quantiles, and where 95 % of the ratios lie when rounds are drawn anew (a percentile bootstrap). */
function compare(times: number[], references: number[][], share: number) {
  const ratio = (rounds: number[]) => {
    // The same rounds of all: what a busy moment did to all is not taken for a difference.
    const own = rounds.map((round) => times[round]!)
    const others = references.flatMap((reference) => rounds.map((round) => reference[round]!))
    return quantile(own, share) / quantile(others, share)
  }
  const ratios = Array.from({ length: resamplings }, () =>
    ratio(times.map(() => Math.floor(Math.random() * times.length))),
  )
  return { ratio: ratio([...times.keys()]), from: quantile(ratios, 0.025), to: quantile(ratios, 0.975) }
}

/** Prints what was found on one database, and gives it. */
function report(kind: DatabaseKind, { times, forms }: Series) {
  const [first, second] = [times[baseline]!, times[baselineAgain]!]
  const found = Object.entries(times).map(([reason, own]) => {
    const references = reason === baselineAgain ? [first] : [first, second]
    const [medians, tenths] = reason === baseline ? [] : [compare(own, references, 0.5), compare(own, references, 0.1)]
    return { reason, median_ms: quantile(own, 0.5), medians, tenths }
  })
  const show = (compared?: ReturnType<typeof compare>) =>
    compared ? [compared.ratio.toFixed(3), `${compared.from.toFixed(3)} to ${compared.to.toFixed(3)}`] : ['', '']
  const rows = found.map(({ reason, median_ms, medians, tenths }) => [
    reason,
    median_ms.toFixed(1),
    ...show(medians),
    ...show(tenths),
  ])
  console.log(`\n${kind}, ${samples} sign-ins of each\n`)
  console.log(table([['', 'median ms', 'ratio', '95 % interval', 'fastest tenth', '95 % interval'], ...rows]))
  console.log(
    forms.size === 1
      ? '\nStatus, headers and body: the same in every answer.'
      : `\nThe answers DIFFER:\n${[...forms].map(([form, reasons]) => `  ${[...reasons].join(', ')}: ${form}`).join('\n')}`,
  )
  return { database: kind, samples, same_answers: forms.size === 1, reasons: found }
}

async function run(bench: Workbench, kind: DatabaseKind) {
  const server = await bench.startServer(kind, { RATE_LIMIT_ENABLED: 'false' })
  const series = await measure(server, await prepareAttempts(server))
  await server.stop()
  return report(kind, series)
}

await onWorkbench(async (bench) => {
  const reports = []
  for (const kind of databaseKinds) reports.push(await run(bench, kind))
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(reports, null, 2)}\n`)
})
