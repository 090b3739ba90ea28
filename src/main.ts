import cluster from 'node:cluster'
import { UnavailableError } from './core/errors.ts'
import { createLogger } from './core/logging.ts'
import { configOrExit, exitWith, reasonOf } from './core/start.ts'
import { supervise } from './core/workers/supervisor.ts'
import { followSupervisor, isReplacement, tellAddress } from './core/workers/worker.ts'
import { openDatabase } from './db/database.ts'
import { isRefusal } from './db/errors.ts'
import { prepareDatabase, requireMigrated, UnpreparedError } from './db/prepare.ts'
import { seededPassword, seededUsers } from './db/seed.ts'

// A server, a supervisor of several (WEB_CONCURRENCY), or one of its workers: each begins here.
const config = configOrExit()
const processLog = await createLogger(config)
const log = cluster.worker ? processLog.child({ worker: cluster.worker.id }) : processLog
const database = openDatabase(config)

let hasTestUsers = false
try {
  // The supervisor has prepared it for all; new code in a worker may still want more than there is.
  if (cluster.isWorker) await requireMigrated(database, log, isReplacement)
  else hasTestUsers = await prepareDatabase(database, config, log)
} catch (error) {
  if (error instanceof UnpreparedError) exitWith(error.message)
  if (error instanceof UnavailableError) exitWith(`${error.message} (${reasonOf(error)}): look at DATABASE_URL`)
  if (isRefusal(error)) exitWith(`The database refuses: ${error.message}`)
  throw error
}

if (cluster.isPrimary && config.WEB_CONCURRENCY > 1) {
  await database.close()
  greet(await supervise(config, log))
} else {
  if (cluster.isWorker) followSupervisor()
  // Loaded here, so that a supervisor, which serves nothing, stays small.
  const { serve } = await import('./server.ts')
  const address = await serve(config, database, log)
  if (cluster.isWorker) tellAddress(address)
  else greet(address)
}

/** Tells a developer where to look. */
function greet(address: string): void {
  if (config.NODE_ENV === 'production') return
  const accounts = seededUsers.map(({ email, role }) => `${email} (${role})`).join(', ')
  console.log(`
  ${config.APP_NAME} is running.

  API         ${address}/api/v1/items
  Docs        ${config.DOCS_ENABLED ? `${address}/api/docs/swagger` : 'off (DOCS_ENABLED)'}
  Health      ${address}/health
${hasTestUsers ? `\n  Test users  ${accounts}\n  Password    ${seededPassword}\n` : ''}
  Stop it with Ctrl+C.
`)
}
