import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { Writable } from 'node:stream'
import type { Client } from '../core/actor.ts'
import { readConfig, type Config } from '../core/config.ts'
import { loadEnvironment } from '../core/environment.ts'
import { createLogger } from '../core/logging.ts'
import { openDatabase, type Database } from '../db/database.ts'
import { migrationStatus } from '../db/migrations.ts'
import type { Services } from '../wiring.ts'

/** Building an index takes longer than any request may. */
const timeoutSeconds = 600

/** Opens the database as the role that may change its schema, and closes it whatever happens. */
export async function withDatabase(work: (database: Database, config: Config) => Promise<void>): Promise<void> {
  const config = readConfig(loadEnvironment())
  const database = openDatabase({
    ...config,
    DATABASE_URL: config.MIGRATION_DATABASE_URL ?? config.DATABASE_URL,
    DATABASE_TIMEOUT_SECONDS: timeoutSeconds,
  })
  try {
    await work(database, config)
  } finally {
    await database.close()
  }
}

/** @throws Error when the database is not as this version of the code needs it */
export async function requireMigrated(database: Database): Promise<void> {
  const { pending } = await migrationStatus(database)
  if (pending.length > 0) throw new Error('The database is not migrated: run "app db upgrade" first')
}

/** Hands out the same services as a server has, so that rules and security events are the same. */
export const withServices = (work: (services: Services) => Promise<void>): Promise<void> =>
  withDatabase(async (database, config) => {
    await requireMigrated(database)
    const { createServices } = await import('../wiring.ts')
    await work(createServices(config, database, await createLogger(config, eventLines())))
  })

/** Lines of security events are for whoever collects logs. A person at a terminal did it just now. */
const eventLines = () =>
  process.stderr.isTTY ? new Writable({ write: (_chunk, _encoding, done) => done() }) : process.stderr

/** Who runs a command, for the security events. */
export const operator = (command: string): Client => ({
  request_id: randomUUID(),
  ip: '127.0.0.1',
  user_agent: `app ${command} by ${userName()}`,
})

/** Behind `sudo` the person, and in a container, where the user may have no name, its number. */
function userName(): string {
  try {
    return process.env['SUDO_USER'] || userInfo().username
  } catch {
    return String(process.getuid?.())
  }
}
