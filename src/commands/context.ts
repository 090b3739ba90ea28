import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { Writable } from 'node:stream'
import type { Client } from '../core/actor.ts'
import { withoutPassword } from '../core/config-report.ts'
import { readConfig, type Config } from '../core/config.ts'
import { readEnvironment, withStandInSecrets } from '../core/environment.ts'
import { createLogger } from '../core/logging.ts'
import { openDatabase, type Database } from '../db/database.ts'
import { migrationStatus } from '../db/migrations.ts'
import type { Services } from '../wiring.ts'

/** Building an index takes longer than any request may. */
const timeoutSeconds = 600

interface Opened {
  database: Database
  config: Config
  /** The database's address, without its password: for asking and telling. */
  address: string
}

/**
 * Opens the database as the role that may change its schema, and closes it whatever happens.
 *
 * Commands never make a `.env`, as a server's first start does: the settings of this machine may be elsewhere.
 * @param needsSecrets whether the work signs, encrypts or decrypts
 */
export async function withDatabase(work: (opened: Opened) => Promise<void>, needsSecrets = false): Promise<void> {
  const { given, file } = readEnvironment()
  const environment = { ...file, ...given }
  const config = readConfig(needsSecrets ? environment : withStandInSecrets(environment))
  const url = config.MIGRATION_DATABASE_URL ?? config.DATABASE_URL
  const database = openDatabase({ ...config, DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: timeoutSeconds })
  try {
    await work({ database, config, address: withoutPassword(url) })
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
  withDatabase(async ({ database, config }) => {
    await requireMigrated(database)
    const { createServices } = await import('../wiring.ts')
    await work(createServices(config, database, await createLogger(config, eventLines())))
  }, true)

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
