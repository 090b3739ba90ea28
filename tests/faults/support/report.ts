import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, platform, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Reporter, TestCase, TestModule } from 'vitest/node'
import { projectRoot } from '../../../src/core/config.ts'
import type { FaultRow } from './fault.ts'

interface Result extends FaultRow {
  outcome: 'passed' | 'failed' | 'skipped'
  /** Why it was skipped. */
  reason?: string
  seconds: number
  date: string
}

const document = join(projectRoot, 'docs/reliability.md')
const kept = join(projectRoot, 'docs/reliability/results.json')
const marks = /(<!-- faults -->\n)[^]*?(<!-- end of faults -->)/

/**
 * Tells what was skipped and why, and with `PUBLISH=1` writes what was seen into docs/reliability.md. Rows of faults
 * that were not tried this time stay as they are.
 */
export default class FaultReport implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const results = modules.flatMap(({ children }) => [...children.allTests()]).flatMap(resultOf)
    for (const { fault, database, outcome, reason } of results)
      if (outcome === 'skipped') process.stdout.write(`not tried: ${fault}, on ${database}: ${reason}\n`)
    if (process.env['PUBLISH']) publish(results.filter(({ outcome }) => outcome !== 'skipped'))
  }
}

/** Of a fault that was tried, or could not be; those that were not asked for have no row. */
function resultOf(test: TestCase): Result[] {
  const { fault: row } = test.meta()
  const result = test.result()
  if (!row || result.state === 'pending') return []
  const seconds = Math.round((test.diagnostic()?.duration ?? 0) / 100) / 10
  const reason = result.state === 'skipped' ? { reason: result.note ?? 'no reason given' } : {}
  return [{ ...row, outcome: result.state, ...reason, seconds, date: new Date().toISOString().slice(0, 10) }]
}

const nameOf = ({ fault, database }: FaultRow) => `${fault} ${database}`

function publish(results: Result[]): void {
  const before = existsSync(kept) ? (JSON.parse(readFileSync(kept, 'utf8')) as { faults: Result[] }).faults : []
  const names = new Set(results.map(nameOf))
  const faults = [...before.filter((result) => !names.has(nameOf(result))), ...results].toSorted((a, b) =>
    nameOf(a).localeCompare(nameOf(b)),
  )
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()}`
  writeFileSync(kept, JSON.stringify({ machine, node: process.version, faults }, null, 2))
  const rows = faults.map((result) =>
    [result.fault, result.database, result.done, result.seen, result.promise, result.outcome, result.date]
      .map((cell) => (cell ?? '').replaceAll('|', String.raw`\|`))
      .join(' | '),
  )
  const table = [
    'fault | database | done | seen | promised | outcome | date',
    '--- | --- | --- | --- | --- | --- | ---',
    ...rows,
  ]
  const text = readFileSync(document, 'utf8')
  const filled = `${table.map((row) => `| ${row} |`).join('\n')}\n\nOn ${machine}, Node.js ${process.version}.`
  writeFileSync(
    document,
    text.replace(marks, (_, begin: string, end: string) => `${begin}\n${filled}\n\n${end}`),
  )
  execFileSync(process.execPath, ['node_modules/oxfmt/bin/oxfmt', document, kept], { cwd: projectRoot })
}
