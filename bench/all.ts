// Runs every benchmark behind docs/performance.md, one after another, and publishes what they found there.
//
//   npm run bench:all -- [--short] [--parts servers,growth,start,profile,logins,overload] [--to docs/performance]
//                        [-- --rounds 5 --seconds 1]
//
// All parts take about 40 minutes, on a machine that should do nothing else. What follows a second `--` goes to the
// scripts of all parts that are run, as each says at its head: `--parts growth -- --sizes 10000,1000000,10000000`.
// Figures of parts that are not run stay as they are. `--short` shows in a few minutes that all of it works.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { publish } from './report/publish.ts'
import { machine, writeJson, type Report } from './report/results.ts'
import { measuredCommit, versions } from './report/versions.ts'

/** The script of each part, and the parameters of a short run. */
const scripts: Record<string, [script: string, ...short: string[]]> = {
  servers: ['run.ts', '--short'],
  growth: ['growth.ts', '--sizes', '1000,2000', '--rounds', '1', '--seconds', '0.2'],
  start: ['start-and-memory.ts', '--starts', '2', '--requests', '3000'],
  profile: ['profile.ts', '--seconds', '1'],
  logins: ['login-flood.ts', '--seconds', '2'],
  overload: ['overload.ts', '--seconds', '1'],
}

const { values: options, positionals } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    parts: { type: 'string', default: Object.keys(scripts).join(',') },
    to: { type: 'string', default: 'docs/performance' },
  },
  allowPositionals: true,
})

const commit = measuredCommit()

/** Runs a part. Gives what it found, and how. */
function run(part: string, file: string): Partial<Report> {
  const [script, ...short] = scripts[part]!
  const load = Math.round(loadavg()[0]! * 10) / 10
  const parameters = [...(options.short ? short : []), ...positionals]
  console.log(`\n# ${part}`)
  execFileSync(process.execPath, [join(import.meta.dirname, script), ...parameters, '--json', file], {
    stdio: 'inherit',
  })
  const { date, ...found } = JSON.parse(readFileSync(file, 'utf8')) as Report
  return { ...found, date, runs: { [part]: { ended: date, commit, parameters, load_before: load } } }
}

const folder = mkdtempSync(join(tmpdir(), 'bench-all-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
mkdirSync(options.to, { recursive: true })
const kept = join(options.to, 'results.json')
for (const part of options.parts.split(',')) {
  const before: Report = existsSync(kept) ? (JSON.parse(readFileSync(kept, 'utf8')) as Report) : machine()
  const found = run(part, join(folder, `${part}.json`))
  // At once: a later part that fails takes nothing away.
  const report = { ...before, ...found, versions: versions(), runs: { ...before.runs, ...found.runs } }
  writeJson(kept, report)
}
publish(options.to)
