// Draws the charts and writes the tables of docs/performance.md from docs/performance/results.json.
//
//   npm run bench:publish -- [--to docs/performance]
import { parseArgs } from 'node:util'
import { publish } from './report/publish.ts'

const { values: options } = parseArgs({ options: { to: { type: 'string', default: 'docs/performance' } } })
publish(options.to)
