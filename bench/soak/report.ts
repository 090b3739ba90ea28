// What a soak found: as text, and in docs/reliability.md as a table and charts.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { projectRoot } from '../../src/core/config.ts'
import { writeJson, type machine } from '../report/results.ts'
import { lineChart } from '../report/svg.ts'
import { faultsOf } from './judge.ts'
import type { SoakRun } from './run.ts'
import { inADay, longEnough, series, seriesNames, trendOf, warmUp, type Sample, type SeriesName } from './series.ts'

export interface SoakReport extends ReturnType<typeof machine> {
  commit: string
  minutes: number
  /** Things done in a second, to each server. */
  rate: number
  runs: SoakRun[]
}

/** A line of the table for each series. */
export function trendRows({ samples }: SoakRun): string[][] {
  const rows = seriesNames.flatMap((name) => {
    const trend = trendOf(samples, name)
    if (!trend) return []
    const { title, unit } = series[name]
    const isNothing = trend.mean === 0
    const share = (value: number) => (isNothing ? '' : `${(value * 100).toFixed(1)} %`)
    const slope = `${trend.per_hour.toFixed(2)} ± ${trend.error.toFixed(2)}`
    return [[`${title}, ${unit}`.replace(/, $/, ''), trend.mean.toFixed(1), slope, share(inADay(trend) / 24)]]
  })
  return [['', 'mean', 'growth in an hour', 'of the mean'], ...rows]
}

/** Lines of text on what the table does not tell. */
export function notes(run: SoakRun, { minutes }: Pick<SoakReport, 'minutes'>): string[] {
  const { tally, before, after, rest_seconds: seconds } = run
  const statuses = Object.entries(tally.statuses).map(([status, times]) => `${times} × ${status}`)
  const faults = faultsOf(run, minutes)
  const pool = after.connections === undefined ? '' : `, connections ${before.connections} and ${after.connections}`
  return [
    `Answers: ${statuses.join(', ')}; ${tally.aborted} requests broken off by the client, ${tally.unsent} not sent.`,
    `Before the traffic and after it: descriptors ${before.descriptors} and ${after.descriptors}${pool}${seconds === undefined ? '' : `, ${seconds.toFixed(0)} s after the last answer`}.`,
    faults.length > 0
      ? `Not met: ${faults.join('; ')}.`
      : `All criteria are met${minutes < longEnough ? `, but it was too short to tell growth (${longEnough} minutes)` : ''}.`,
  ]
}

/** The charts of each server, by the ends of their names. */
const charts: Record<string, { title: string; measure: string; lines: Partial<Record<SeriesName, string>> }> = {
  memory: {
    title: 'Memory',
    measure: 'MiB; resident: the least of ten looks in 5 s, since a sign-in takes 64 MiB for a moment',
    lines: { rss_mib: 'resident', heap_mib: 'heap', heap_after_gc_mib: 'heap after GC', external_mib: 'outside of it' },
  },
  'event-loop': {
    title: 'Event-loop delay and answers',
    measure: 'ms, in each 5 s; answers without sign-ins and exports',
    lines: { loop_p99_ms: 'delay, p99', answer_p50_ms: 'answers, p50', answer_p99_ms: 'answers, p99' },
  },
  descriptors: {
    title: 'Descriptors and connections',
    measure:
      'open descriptors, and connections to the database: all, that run a statement, that are idle in a transaction',
    lines: {
      descriptors: 'descriptors',
      connections: 'connections',
      active: 'active',
      in_transaction: 'in transaction',
    },
  },
}

const chartFile = (database: string, name: string) => `soak-${database}-${name}.svg`

const pointsOf = (samples: Sample[], name: SeriesName) =>
  samples.flatMap(({ minute, [name]: value }): [number, number][] => (value === undefined ? [] : [[minute, value]]))

function drawCharts(folder: string, { runs, node, date }: SoakReport): void {
  for (const { database, samples } of runs)
    for (const [name, { title, measure, lines }] of Object.entries(charts)) {
      const drawn = Object.entries(lines).map(([of, label]) => ({
        name: label,
        points: pointsOf(samples, of as SeriesName),
      }))
      const chart = lineChart({
        title: `${title}, ${database}, Node.js ${node}, ${date.slice(0, 10)}`,
        measure,
        along: 'minutes',
        lines: drawn.filter(({ points }) => points.length > 0),
        mark: { at: (samples.at(-1)?.minute ?? 0) * warmUp, label: 'counted from here' },
      })
      writeFileSync(join(folder, chartFile(database, name)), chart)
    }
}

function markdown(folder: string, report: SoakReport): string {
  const { runs, minutes, rate, machine: on, node, date, commit } = report
  const head = `${minutes} minutes on ${date.slice(0, 10)}, ${rate} requests a second to each server, on ${on}, Node.js ${node}, commit ${commit}.`
  const parts = runs.map((run) => {
    const [heads, ...rows] = trendRows(run)
    const line = (cells: string[]) => `| ${cells.join(' | ')} |`
    const table = [line(heads!), line(['---', ...heads!.slice(1).map(() => '---:')]), ...rows.map(line)].join('\n')
    const images = Object.entries(charts).map(
      ([name, { title }]) => `![${title} on ${run.database}](${basename(folder)}/${chartFile(run.database, name)})`,
    )
    return `### ${run.database}\n\n${table}\n\n${notes(run, report).join('\n\n')}\n\n${images.join('\n')}`
  })
  return [head, ...parts].join('\n\n')
}

const marks = /(<!-- soak -->\n)[^]*?(<!-- end of soak -->)/

/** Numbers as far as they tell something, in the form of columns: it is read by people as well. */
const compact = ({ samples, ...run }: SoakRun) => ({
  ...run,
  samples: Object.fromEntries(
    (['minute', ...seriesNames] as const)
      .map((name) => [name, samples.map((sample) => rounded(sample[name]))] as const)
      .filter(([, values]) => values.some((value) => value !== null)),
  ),
})

const rounded = (value?: number) =>
  value === undefined || !Number.isFinite(value) ? null : Math.round(value * 100) / 100

/** What is kept of a report, for JSON. */
export const kept = (report: SoakReport): object => ({ ...report, runs: report.runs.map(compact) })

/** @param folder gets the charts and soak.json; the document has its name, and lies beside it */
export function publishSoak(folder: string, report: SoakReport): void {
  mkdirSync(folder, { recursive: true })
  const results = join(folder, 'soak.json')
  writeJson(results, kept(report))
  drawCharts(folder, report)
  const document = `${folder}.md`
  const written = [results]
  if (existsSync(document)) {
    const text = readFileSync(document, 'utf8')
    const filled = text.replace(
      marks,
      (_, begin: string, end: string) => `${begin}\n${markdown(folder, report)}\n\n${end}`,
    )
    writeFileSync(document, filled)
    written.push(document)
  }
  execFileSync(process.execPath, ['node_modules/oxfmt/bin/oxfmt', ...written], { cwd: projectRoot })
}
