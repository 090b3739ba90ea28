// What was measured, as charts: for each database how the servers compare with the limit.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Outcome } from '../load/clients.ts'
import { reference } from '../variants.ts'
import { figures, median, ratios, type Growth, type Report, type Result } from './results.ts'
import { barChart, type Bar, type Chart } from './svg.ts'

export function drawCharts(folder: string, { results = [], growth = [], date, node }: Report): void {
  mkdirSync(folder, { recursive: true })
  for (const database of new Set(results.map((result) => result.database))) {
    const own = results.filter((result) => result.database === database)
    const about = `${database}, Node.js ${node}, ${date.slice(0, 10)}`
    const chart = (name: string, measure: string, figure: (outcome: Outcome) => number, unit: string) => {
      const drawn = compare(own, figure, unit, { title: `${name} on ${about}`, measure })
      writeFileSync(join(folder, `${database}-${name === 'Throughput' ? 'throughput' : 'cpu'}.svg`), barChart(drawn))
    }
    chart('Throughput', `requests in a second, of those of the ${reference}: more is better`, figures.throughput, '/s')
    chart('Processor time', `for one request, of that of the ${reference}: less is better`, figures.cpu, ' µs')
  }
  for (const database of new Set(growth.map((each) => each.database))) {
    const own = growth.filter((each) => each.database === database)
    const title = `Time of an answer as the table grows, ${database}, Node.js ${node}, ${date.slice(0, 10)}`
    writeFileSync(join(folder, `${database}-growth.svg`), barChart(growing(own, title)))
  }
}

/** Each median time, in terms of that with the smallest table. */
function growing(growth: Growth[], title: string): Chart {
  const groups = [...new Set(growth.map((each) => each.title))].map((name) => {
    const own = growth.filter((each) => each.title === name)
    const times = own.map(({ rounds }) => median(rounds.map(figures.p50)))
    const bars = own.map(({ size }, at) => ({
      name: `${size.toLocaleString('en')} items`,
      value: times[at]! / times[0]!,
      label: `${(times[at]! / times[0]!).toFixed(2)} (${times[at]!.toFixed(2)} ms)`,
    }))
    return { name, bars }
  })
  const measure = 'the median on one connection, in terms of that with the smallest table: less is better'
  return { title, measure, groups, mark: { value: 1, label: '1' } }
}

/** Each server's figure in terms of the limit's, with the figure itself beside it. */
function compare(
  results: Result[],
  figure: (outcome: Outcome) => number,
  unit: string,
  head: Pick<Chart, 'title' | 'measure'>,
): Chart {
  const groups = [...new Set(results.map(({ title }) => title))].map((title) => {
    const own = results.filter((result) => result.title === title)
    const to = own.find(({ variant }) => variant === reference)
    return { name: title, bars: to ? own.map((result) => bar(result, to, figure, unit)) : [] }
  })
  return { ...head, groups, mark: { value: 1, label: reference } }
}

function bar(result: Result, to: Result, figure: (outcome: Outcome) => number, unit: string): Bar {
  const compared = ratios(result, to, figure)
  const absolute = Math.round(median(result.rounds.map(figure))).toLocaleString('en')
  return {
    name: result.variant,
    value: median(compared),
    range: [Math.min(...compared), Math.max(...compared)],
    label: `${median(compared).toFixed(2)} (${absolute}${unit})`,
  }
}
