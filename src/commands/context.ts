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

type Work = (opened: Opened) => Promise<void>

/**
 * Opens the database as the role that may change its schema, with time for it, and closes it whatever happens.
 * @param needsSecrets whether the work signs, encrypts or decrypts
 */
export async function withDatabase(work: Work, needsSecrets = false): Promise<void> {
  const config = settingsOfCommands(needsSecrets)
  const { MIGRATION_DATABASE_URL: url = config.DATABASE_URL } = config
  await withOpen({ ...config, DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: timeoutSeconds }, work)
}

/** Commands never make a `.env`, as a server's first start does: the settings of this machine may be elsewhere. */
function settingsOfCommands(needsSecrets: boolean): Config {
  const { given, file } = readEnvironment()
  const environment = { ...file, ...given }
  return readConfig(needsSecrets ? environment : withStandInSecrets(environment))
}

async function withOpen(config: Config, work: Work): Promise<void> {
  const database = openDatabase(config)
  try {
    await work({ database, config, address: withoutPassword(config.DATABASE_URL) })
  } finally {
    await database.close()
  }
}

/** @throws Error when the database is not as this version of the code needs it */
export async function requireMigrated(database: Database): Promise<void> {
  const { pending } = await migrationStatus(database)
  if (pending.length > 0) throw new Error('The database is not migrated: run "app db upgrade" first')
}

/** Hands out the same services as a server has, over the same role, so that rules and security events are the same. */
export const withServices = (work: (services: Services) => Promise<void>): Promise<void> =>
  withOpen(settingsOfCommands(true), async ({ database, config }) => {
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

/**
 * The user of the system; in a container, where it may have no name, its number. The person behind `sudo` comes after
 * it and not in its place, since anybody can set the variable.
 */
function userName(): string {
  const person = process.env['SUDO_USER']?.slice(0, 100)
  return `${systemUser()}${person ? ` for ${person}` : ''}`
}

function systemUser(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.())
  }
}
