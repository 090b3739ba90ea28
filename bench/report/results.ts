// What was measured: as tables for people, and as JSON.
import { writeFileSync } from 'node:fs'
import { arch, cpus, platform, totalmem } from 'node:os'
import type { Outcome } from '../load/clients.ts'
import type { FloodReport } from '../login-flood.ts'
import type { OverloadReport } from '../overload.ts'
import { quantile, table } from '../support/figures.ts'
import { otherCores } from '../support/processes.ts'
import { reference } from '../variants.ts'

/** One kind of request to one server on one database. */
export interface Result {
  database: string
  endpoint: string
  title: string
  variant: string
  rounds: Outcome[]
}

/** One kind of request to a table of one size. */
export interface Growth {
  database: string
  name: string
  title: string
  size: number
  rounds: Outcome[]
}

/** What part of the processor time of one kind of request is spent in a package, a part of Node.js or a file. */
export interface Share {
  database: string
  title: string
  part: string
  share: number
}

/** Of starts each, and after each tenth of the requests. */
interface Start {
  requests: number
  start_ms: number[]
  start_cpu_ms: number[]
  memory_mib: number[]
  growing_mib: number[]
}

interface Run {
  ended: string
  commit: string
  parameters: string[]
  /** The load average of the minute before: of whatever else runs, and of the part before. */
  load_before: number
}

/** What the benchmarks write, each a part of it. */
export interface Report extends ReturnType<typeof machine> {
  versions?: Record<string, string>
  /** How each part was run. */
  runs?: Record<string, Run>
  results?: Result[]
  growth?: Growth[]
  start?: Start
  profile?: Share[]
  logins?: FloodReport[]
  overload?: OverloadReport[]
}

/** What figures depend on. */
export const machine = () => ({
  date: new Date().toISOString(),
  node: process.version,
  machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${arch()}`,
  pinned: otherCores !== undefined,
})

export const writeJson = (file: string, report: object) => writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)

/** A figure of each round. */
export const figures = {
  throughput: ({ requests, seconds }: Outcome) => requests / seconds,
  cpu: ({ cpu_us }: Outcome) => cpu_us['server']!,
  /** Of server and database together. */
  wholeCpu: ({ cpu_us }: Outcome) => Object.values(cpu_us).reduce((sum, value) => sum + value, 0),
  databaseCpu: ({ cpu_us }: Outcome) => cpu_us['database'] ?? Number.NaN,
  p50: ({ p50_ms }: Outcome) => p50_ms,
  p99: ({ p99_ms }: Outcome) => p99_ms,
}

export const median = (values: number[]): number => quantile(values, 0.5)

/** How a figure compares with the reference's, in each round. */
export const ratios = ({ rounds }: Result, to: Result, figure: (outcome: Outcome) => number): number[] =>
  rounds.map((outcome, round) => figure(outcome) / figure(to.rounds[round]!))

/** The median, and from the least to the most where there are several. */
export function spread(values: number[], digits: number): string {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  )
  return values.length > 1 ? `${middle} (${least}–${most})` : middle!
}

/** Prints how the servers did on one kind of request. */
export function print(results: Result[]): void {
  const to = results.find(({ variant }) => variant === reference)
  const hasDatabase = results[0]!.database === 'postgresql'
  const rows = results.map((result) => {
    const told = (figure: (outcome: Outcome) => number, digits: number) => spread(result.rounds.map(figure), digits)
    const compared = (figure: (outcome: Outcome) => number) => (to ? spread(ratios(result, to, figure), 2) : '')
    return [
      result.variant,
      told(figures.throughput, 0),
      compared(figures.throughput),
      told(figures.cpu, 0),
      compared(figures.cpu),
      ...(hasDatabase ? [told(figures.databaseCpu, 0)] : []),
      told(figures.p50, 2),
      told(figures.p99, 2),
    ]
  })
  const heads = [
    '',
    'requests/s',
    `of ${reference}`,
    'CPU µs each',
    `of ${reference}`,
    ...(hasDatabase ? ['database µs'] : []),
    'p50 ms',
    'p99 ms',
  ]
  console.log(`\n${results[0]!.title}, ${results[0]!.database}\n\n${table([heads, ...rows])}`)
}

/** Prints what it costs to know who asks: the same request with a token and without, to the same server. */
export function printTokenCost(results: Result[]): void {
  const rows = results
    .filter(({ endpoint }) => endpoint === 'get')
    .flatMap((result) => {
      const without = results.find(({ endpoint, variant }) => endpoint === 'get-open' && variant === result.variant)
      if (!without) return []
      const compared = (figure: (outcome: Outcome) => number) => spread(ratios(result, without, figure), 2)
      return [[result.variant, compared(figures.cpu), compared(figures.throughput)]]
    })
  if (rows.length === 0) return
  const title = `GET item with a token, by that without, ${results[0]!.database}`
  console.log(`\n${title}\n\n${table([['', 'CPU', 'requests/s'], ...rows])}`)
}
