// Draws the charts of docs/performance.md from what `npm run bench -- --json file` wrote.
//
//   npm run bench:charts -- file.json [--to docs/performance]
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { drawCharts } from './report/charts.ts'
import type { Report } from './report/results.ts'

const { values: options, positionals } = parseArgs({
  options: { to: { type: 'string', default: 'docs/performance' } },
  allowPositionals: true,
})
for (const file of positionals) drawCharts(options.to, JSON.parse(readFileSync(file, 'utf8')) as Report)
