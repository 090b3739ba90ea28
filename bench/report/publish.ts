// Puts what was measured into a document: tables between its marks, charts beside it.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../src/core/config.ts'
import { drawCharts } from './charts.ts'
import type { Report } from './results.ts'
import { tables } from './tables.ts'

const marks = /(<!-- figures: (\w+) -->\n)[^]*?(<!-- end of figures -->)/g

/** @param folder holds results.json; the document has its name, and lies beside it */
export function publish(folder: string): void {
  const results = join(folder, 'results.json')
  const report = JSON.parse(readFileSync(results, 'utf8')) as Report
  drawCharts(folder, report)
  const document = `${folder}.md`
  if (!existsSync(document)) return
  const text = readFileSync(document, 'utf8')
  const filled = text.replaceAll(marks, (_, begin: string, name: string, end: string) => {
    const table = tables[name]
    if (!table) throw new Error(`There is no table ${name} for ${document}`)
    return `${begin}\n${table(report)}\n\n${end}`
  })
  writeFileSync(document, filled)
  execFileSync(process.execPath, ['node_modules/oxfmt/bin/oxfmt', document, results], { cwd: projectRoot })
}
