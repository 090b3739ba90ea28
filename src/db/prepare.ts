import type { Logger } from 'pino'
import type { Config } from '../core/config.ts'
import { UnavailableError } from '../core/errors.ts'
import { createPasswords } from '../core/security/passwords.ts'
import { openDatabase, type Database } from './database.ts'
import { migrationStatus } from './migrations.ts'
import { hasTestUsers, seed } from './seed.ts'

/** The database is not in the state that this version of the code needs. */
export class UnpreparedError extends Error {
  override name = 'UnpreparedError'
}

/**
 * Makes the database ready to serve. In development it is migrated, and seeded when empty. In
 * production it is only looked at: it is migrated when told, by `npx app db upgrade`.
 * @returns whether the test users of the seed are there
 * @throws UnpreparedError in production, when there is no database or migrations are pending
 */
export async function prepareDatabase(database: Database, config: Config, log: Logger): Promise<boolean> {
  if (config.NODE_ENV === 'production') {
    await requireMigrated(database, log)
    return false
  }
  const { pending } = await migrationStatus(database)
  if (pending.length > 0) await migrate(database, config, log)
  if (await seed(database, createPasswords(config))) log.info('seeded')
  return hasTestUsers(database)
}

/** Migrates as the role that may, where one is named. */
async function migrate(database: Database, config: Config, log: Logger): Promise<void> {
  // Only now is the ORM loaded: most starts need no migration.
  const { upgrade } = await import('./migrator.ts')
  const { MIGRATION_DATABASE_URL: url } = config
  const owner = url === undefined ? database : openDatabase({ ...config, DATABASE_URL: url })
  try {
    for (const name of await upgrade(owner)) log.info({ migration: name }, 'migrated')
  } finally {
    if (owner !== database) await owner.close()
  }
}

/**
 * Looks whether the database is there and has every migration. One that is away may come back while we serve;
 * readiness tells until then.
 * @param mustAnswer for a worker that takes the place of one that serves: better the old one than one without a database
 * @throws UnpreparedError; UnavailableError when the database is away and must not be
 */
export async function requireMigrated(database: Database, log: Logger, mustAnswer = false): Promise<void> {
  if (!database.engine.exists()) throw new UnpreparedError('There is no database yet. Run "npx app db upgrade" first')
  try {
    const { pending } = await migrationStatus(database)
    if (pending.length > 0)
      throw new UnpreparedError(`Pending migrations: ${pending.length}. Run "npx app db upgrade" first`)
  } catch (error) {
    if (mustAnswer || !(error instanceof UnavailableError)) throw error
    log.error({ err: error }, 'the database does not answer; serving until it does')
  }
}
