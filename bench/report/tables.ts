// The tables of docs/performance.md.
import type { Outcome } from '../load/clients.ts'
import { quantile } from '../support/figures.ts'
import { reference } from '../variants.ts'
import { figures, median, ratios, spread, type Report, type Result } from './results.ts'

type Figure = (outcome: Outcome) => number

/** A Markdown table, where there is anything to tell. */
const markdown = (heads: string[], rows: string[][]) =>
  rows.length === 0
    ? 'Not measured yet.'
    : [heads, heads.map((_, at) => (at === 0 ? '---' : '--:')), ...rows]
        .map((row) => `| ${row.join(' | ')} |`)
        .join('\n')

const distinct = <T>(values: T[]) => [...new Set(values)]
const names: Record<string, string> = { sqlite: 'SQLite', postgresql: 'PostgreSQL' }
const nameOf = (database: string) => names[database] ?? database

/** How one server compares with another on one kind of request; empty where one was not measured. */
function compared(results: Result[], database: string, endpoint: string, [of, to]: [string, string], figure: Figure) {
  const find = (name: string) =>
    results.find((each) => each.database === database && each.endpoint === endpoint && each.variant === name)
  const [result, other] = [find(of), find(to)]
  return result && other ? spread(ratios(result, other, figure), 2) : ''
}

/** The template against the limit. */
function limit({ results = [] }: Report): string {
  const databases = distinct(results.map(({ database }) => database))
  const pair: [string, string] = ['template', reference]
  const heads = databases.flatMap((each) => [`${nameOf(each)}: throughput`, `CPU`])
  const rows = distinct(results.map(({ endpoint }) => endpoint)).map((endpoint) => [
    results.find((each) => each.endpoint === endpoint)!.title,
    ...databases.flatMap((database) => [
      compared(results, database, endpoint, pair, figures.throughput),
      compared(results, database, endpoint, pair, figures.cpu),
    ]),
  ])
  return markdown(['of the limit', ...heads], rows)
}

/** The template against each peer. */
function peers({ results = [] }: Report): string {
  const others = distinct(results.map(({ variant }) => variant)).filter(
    (name) => !['template', reference].includes(name),
  )
  const shared = results.filter(({ variant }) => variant === others[0])
  const rows = shared.flatMap(({ database, endpoint, title }) =>
    (['throughput', 'cpu'] as const).map((name) => [
      `${title}, ${nameOf(database)}, ${name === 'cpu' ? 'CPU' : name}`,
      ...others.map((other) => compared(results, database, endpoint, ['template', other], figures[name])),
    ]),
  )
  return markdown(['the template by', ...others], rows)
}

/** All that was measured, as it was. */
function absolute({ results = [] }: Report): string {
  const rows = results.map(({ database, title, variant, rounds }) => {
    const told = (figure: Figure, digits: number) => spread(rounds.map(figure), digits)
    const ofDatabase = database === 'postgresql' ? told(figures.databaseCpu, 0) : ''
    const [rate, cpu] = [told(figures.throughput, 0), told(figures.cpu, 0)]
    return [`${title}, ${nameOf(database)}`, variant, rate, cpu, ofDatabase, told(figures.p50, 1), told(figures.p99, 1)]
  })
  return markdown(['', 'server', 'requests/s', 'CPU µs', 'database µs', 'p50 ms', 'p99 ms'], rows)
}

/** A request with a token against the same without. */
function token({ results = [] }: Report): string {
  const pairs = results.flatMap((result) => {
    const { database, variant, endpoint } = result
    const isSame = (each: Result) => each.database === database && each.variant === variant
    const open = results.find((each) => isSame(each) && each.endpoint === `${endpoint}-open`)
    return open ? [{ result, open }] : []
  })
  const rows = pairs.map(({ result, open }) => {
    const by = (figure: Figure) => spread(ratios(result, open, figure), 2)
    return [`${result.title}, ${nameOf(result.database)}`, result.variant, by(figures.cpu), by(figures.throughput)]
  })
  return markdown(['with a token by without', 'server', 'CPU', 'throughput'], rows)
}

function growth({ growth: grown = [] }: Report): string {
  const sizes = distinct(grown.map(({ size }) => size))
  const kinds = distinct(grown.map(({ database, title }) => `${title}, ${nameOf(database)}`))
  const rows = kinds.map((kind) => {
    const own = grown.filter(({ database, title }) => `${title}, ${nameOf(database)}` === kind)
    const medians = (figure: Figure) => own.map(({ rounds }) => median(rounds.map(figure)))
    const [times, cpus] = [medians(figures.p50), medians(figures.wholeCpu)]
    const factor = (values: number[]) => (values.at(-1)! / values[0]!).toFixed(2)
    return [kind, ...times.map((time) => time.toFixed(2)), factor(times), factor(cpus)]
  })
  return markdown(['p50 in ms, of items:', ...sizes.map((size) => size.toLocaleString('en')), 'growth', 'of CPU'], rows)
}

function start({ start: started }: Report): string {
  if (!started) return markdown([], [])
  const { requests, start_ms, start_cpu_ms, memory_mib, growing_mib } = started
  const most = Math.max(...growing_mib)
  return markdown(
    ['SQLite', 'measured'],
    [
      ['start to first answer, ms', spread(start_ms, 0)],
      ['processor time to it, ms', spread(start_cpu_ms, 0)],
      ['resident memory then, MiB', spread(memory_mib, 0)],
      [
        `most memory in ${requests.toLocaleString('en')} requests, MiB`,
        `${most.toFixed(0)} (${(most / median(memory_mib)).toFixed(2)}×)`,
      ],
    ],
  )
}

function logins({ logins: floods = [] }: Report): string {
  const rows = floods.map(({ database, scenario, before, during, alone, ...own }) => [
    `${scenario}, ${nameOf(database)}`,
    own.sign_ins_per_second.toFixed(1),
    alone.map((rate) => rate.toFixed(1)).join(', '),
    own.ratio_to_argon2.toFixed(2),
    before.kept_p99_ms.toFixed(0),
    during.kept_p99_ms.toFixed(0),
    during.new_p99_ms.toFixed(0),
  ])
  const others = ['`/health` p99 before, ms', 'during', 'on a new connection']
  return markdown(['200 clients', 'sign-ins/s', 'Argon2 alone before, after', 'ratio', ...others], rows)
}

function overload({ overload: loads = [] }: Report): string {
  const rows = loads.flatMap(({ database, carried, results }) => {
    const capacity = Math.max(...carried)
    const base = results.find((each) => each.load === 0.5 && each.shedding)?.p99_ms ?? Number.NaN
    return results.map((each) => [
      `${nameOf(database)}, ${each.load} ×, ${each.shedding ? 'with' : 'without'}`,
      each.offered.toFixed(0),
      (each.accepted / capacity).toFixed(2),
      each.shed.toFixed(0),
      each.unsent.toFixed(0),
      each.p50_ms.toFixed(1),
      each.p99_ms.toFixed(1),
      (each.p99_ms / base).toFixed(1),
    ])
  })
  const heads = ['offered/s', 'accepted/carried', 'shed/s', 'unsent/s', 'p50 ms', 'p99 ms', 'p99 by that at half']
  return markdown(['load, shedding', ...heads], rows)
}

/** The parts that take most in any of the loads. */
function profile({ profile: shares = [] }: Report): string {
  const loads = distinct(shares.map(({ title, database }) => `${title}, ${nameOf(database)}`))
  const shareOf = (part: string, load: string) =>
    shares.find((each) => each.part === part && `${each.title}, ${nameOf(each.database)}` === load)?.share ?? 0
  const most = (part: string) =>
    quantile(
      loads.map((load) => shareOf(part, load)),
      1,
    )
  const parts = distinct(shares.map(({ part }) => part)).toSorted((a, b) => most(b) - most(a))
  const rows = parts
    .slice(0, 14)
    .map((part) => [part, ...loads.map((load) => `${(shareOf(part, load) * 100).toFixed(0)} %`)])
  return markdown(['share of self time', ...loads], rows)
}

function runs({ machine, pinned, versions = {}, runs: each = {} }: Report): string {
  const listed = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const rows = Object.entries(each).map(([part, { ended, commit, parameters, load_before }]) => [
    part,
    ended.slice(0, 16).replace('T', ' '),
    commit,
    parameters.join(' ') || 'defaults',
    String(load_before),
  ])
  return `${machine}; the server ${pinned ? 'has a core of its own' : 'is not pinned to a core'}. ${listed.join(', ')}.

${markdown(['part', 'ended (UTC)', 'commit', 'parameters', 'load average before'], rows)}`
}

/** Each by its name in the document. */
export const tables: Record<string, (report: Report) => string> = {
  runs,
  limit,
  peers,
  absolute,
  token,
  growth,
  start,
  logins,
  overload,
  profile,
}
