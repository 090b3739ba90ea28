import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'
import { fault } from './support/fault.ts'

interface Report {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
  testResults: { assertionResults: { fullName: string; status: string }[] }[]
}

fault(
  'a PgBouncer in transaction mode in front of PostgreSQL',
  {
    promise: 'Every integration test passes, but for those about connections of our own',
    on: ['postgresql'],
    limit: 900,
    cannot: () =>
      spawnSync('pgbouncer', ['--version'], { stdio: 'ignore' }).status === 0
        ? undefined
        : 'there is no pgbouncer here',
  },
  async () => {
    // For everything that the tests write; `nobody`, as whom PostgreSQL may run, must reach it.
    const folder = mkdtempSync(join(tmpdir(), 'pgbouncer-suite-'))
    chmodSync(folder, 0o755)
    const file = join(folder, 'report.json')
    const tests = spawn(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', '--project', 'integration', '--reporter=json', `--outputFile=${file}`],
      {
        cwd: projectRoot,
        env: { ...process.env, PGBOUNCER: '1', TMPDIR: folder },
        stdio: 'ignore',
        detached: true,
      },
    )
    const ended = once(tests, 'exit')
    onTestFinished(async () => {
      // With what it has started, which does not always hear of its end.
      if (tests.exitCode === null) process.kill(-tests.pid!, 'SIGINT')
      await ended
      rmSync(folder, { recursive: true, force: true })
    })
    await ended
    const { numPassedTests, numPendingTests, testResults } = JSON.parse(readFileSync(file, 'utf8')) as Report
    const results = testResults.flatMap(({ assertionResults }) => assertionResults)
    expect(results.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName)).toEqual([])
    const version = spawnSync('pgbouncer', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]
    return {
      done: `the whole integration suite through ${version}`,
      seen: `${numPassedTests} tests passed, ${numPendingTests} skipped`,
    }
  },
)
