// Does the server last? Mixed traffic at a moderate rate for half an hour, and what grows meanwhile.
//
//   npm run bench:soak -- [--minutes 30] [--database sqlite --database postgresql] [--rate 60]
//                         [--to docs/reliability] [--json file]
//
// On both databases at the same time, a server each, with all defaults of production but without rate limits. A process
// of clients for each (bench/soak/traffic.ts) reads, lists, filters, searches, makes, changes, deletes, exports items,
// signs in, out and refreshes, sends what is refused, breaks off, on kept-alive connections, new ones, and such that
// are closed in between. As many items are deleted as are made; rows of deleted ones stay, as those of ended sessions,
// security events and kept answers do, so the database grows.
// Before, the server has remembered as many access tokens as it does: their filling would look like growth.
// Every 5 s is noted what process, database and clients tell (bench/soak/series.ts). `--to` puts it into the document
// of that name. PostgreSQL runs with `fsync=off`.
//
// Criteria, without which it ends with 1. Each answer is one that its request may get, so no 5xx but a 503 with
// Retry-After; none is missing, and nothing is made twice under one Idempotency-Key. After the first fifth of the time
// neither memory nor heap grows by more than three standard errors of the slope and by more than half of the mean in a
// day (not judged under 20 minutes). Within 30 s after the traffic there are no more descriptors and connections to the
// database than before it.
import { parseArgs } from 'node:util'
import { machine, writeJson } from './report/results.ts'
import { measuredCommit } from './report/versions.ts'
import { faultsOf } from './soak/judge.ts'
import { kept, notes, publishSoak, trendRows, type SoakReport } from './soak/report.ts'
import { soak } from './soak/run.ts'
import { table } from './support/figures.ts'
import { databaseKinds, onWorkbench } from './support/workbench.ts'

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    database: { type: 'string', multiple: true, default: databaseKinds },
    rate: { type: 'string', default: '60' },
    to: { type: 'string' },
    json: { type: 'string' },
  },
})
const minutes = Number(options.minutes)
const rate = Number(options.rate)

await onWorkbench(async (bench) => {
  const kinds = databaseKinds.filter((kind) => options.database.includes(kind))
  const runs = await Promise.all(kinds.map((kind) => soak(bench, kind, rate, minutes)))
  const report: SoakReport = { ...machine(), commit: measuredCommit(), minutes, rate, runs }
  for (const run of runs)
    console.log(`\n${run.database}\n\n${table(trendRows(run))}\n\n${notes(run, report).join('\n')}`)
  if (options.json !== undefined) writeJson(options.json, kept(report))
  if (options.to !== undefined) publishSoak(options.to, report)
  if (runs.some((run) => faultsOf(run, minutes).length > 0)) process.exitCode = 1
})
