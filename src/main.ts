import { createApp } from './app.ts'
import { UnavailableError } from './core/errors.ts'
import { createLogger } from './core/logging.ts'
import { repeat } from './core/repeat.ts'
import { configOrExit, exitWith, reasonOf } from './core/start.ts'
import { endOnSignals } from './core/stop.ts'
import { openDatabase } from './db/database.ts'
import { prepareDatabase, UnpreparedError } from './db/prepare.ts'
import { seededPassword, seededUsers } from './db/seed.ts'
import { createServices } from './wiring.ts'

/** Milliseconds from one look for something to purge to the next. */
const purgeInterval = 5 * 60 * 1000

const config = configOrExit()
const log = await createLogger(config)
const database = openDatabase(config)
let hasTestUsers = false
try {
  hasTestUsers = await prepareDatabase(database, config, log)
} catch (error) {
  if (error instanceof UnpreparedError) exitWith(error.message)
  if (error instanceof UnavailableError) exitWith(`${error.message} (${reasonOf(error)}): look at DATABASE_URL`)
  throw error
}

const services = createServices(config, database, log)
const app = await createApp(config, services, log)
app.addHook('onClose', () => database.close())
endOnSignals(() => app.close(), log, config.SHUTDOWN_TIMEOUT_SECONDS)

repeat(services.purge.runIfDue, purgeInterval, log)

const address = await app
  .listen({ host: config.HOST, port: config.PORT })
  .catch((error: Error) => exitWith(`Cannot listen on HOST ${config.HOST}, PORT ${config.PORT}: ${error.message}`))

if (config.NODE_ENV !== 'production') {
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
