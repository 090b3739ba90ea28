import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  BooleanType,
  EntityCaseNamingStrategy,
  MikroORM,
  type EntityMetadata,
  type IDatabaseDriver,
  type IMigrator,
} from '@mikro-orm/core'
import { Migrator } from '@mikro-orm/migrations'
import { CompiledQuery, sql, type ControlledTransaction, type Kysely } from 'kysely'
import { models, type Tables } from '../models/index.ts'
import type { Database } from './database.ts'
import type { Engine } from './engine.ts'
import { PostgreSqlDriver, SqliteDriver } from './migration-drivers.ts'
import { migrationsFolder, migrationTable } from './migrations.ts'
import { sqliteEngine } from './sqlite.ts'

const engines = ['sqlite', 'postgresql'] as const
const snapshot = '.snapshot'

/** The models' defaults are written for PostgreSQL; these are the same in SQLite. */
const sqliteDefaults: Record<string, string> = {
  'now()': `(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`,
  'gen_random_uuid()': `(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))`,
}

/** Booleans keep their name in SQLite's schema, by which the driver knows to read them as such. */
function adaptToSqlite(metadata: EntityMetadata): void {
  const { properties } = metadata
  // SQLite knows no `truncate`.
  metadata.triggers = metadata.triggers.filter(({ events }) => !events.includes('truncate'))
  for (const trigger of metadata.triggers) {
    trigger.when = trigger.when?.replaceAll('now()', sqliteDefaults['now()']!)
    if (typeof trigger.body === 'string')
      trigger.body = trigger.body.replace(/raise exception ('[^']+')/, 'select raise(abort, $1)')
  }
  for (const property of Object.values(properties)) {
    property.defaultRaw &&= sqliteDefaults[property.defaultRaw] ?? property.defaultRaw
    if ((property.type as unknown) === BooleanType) property.columnTypes = ['boolean']
    // It compares by bytes as it is.
    property.columnTypes = property.columnTypes?.map((type) => type.replace(' collate "C"', ''))
  }
}

/** To compare files only, no database is asked. */
const unconnected = () =>
  sqliteEngine({ DATABASE_URL: 'sqlite:///:memory:', DATABASE_QUEUE_SIZE: 1, DATABASE_TIMEOUT_SECONDS: 1 }).dialect

/** MikroORM over our own connection, or over none where only files are compared. */
async function openOrm(kind: Engine['kind'], connection?: Kysely<Tables>) {
  // The ORM makes the database if the name is not the connection's own.
  const dbName = kind === 'postgresql' && connection ? await currentDatabase(connection) : 'app'
  return MikroORM.init<IDatabaseDriver>({
    entities: models,
    driver: kind === 'sqlite' ? SqliteDriver : PostgreSqlDriver,
    dbName,
    ensureDatabase: false,
    driverOptions: connection ?? unconnected(),
    namingStrategy: EntityCaseNamingStrategy,
    extensions: [Migrator],
    discovery: { onMetadata: (metadata) => (kind === 'sqlite' ? adaptToSqlite(metadata) : undefined) },
    migrations: {
      path: migrationsFolder(kind),
      tableName: migrationTable,
      snapshotName: snapshot,
      // The snapshot is what `create` wrote: rewriting it from a live database would change it without a cause.
      snapshotOnMigrate: false,
      emit: 'ts',
      silent: true,
    },
  })
}

async function currentDatabase(connection: Kysely<Tables>): Promise<string> {
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(connection)
  return rows[0]!.name
}

/**
 * Writes a migration, up and down, for each database: what changed in the models since the last
 * one. Needs no database; the snapshots beside the migrations hold the last state.
 * @param description a few words for the file's name
 * @returns the paths of the files written; none when nothing changed
 * @throws Error when the description has no letter or digit
 */
export async function createMigrations(description: string): Promise<string[]> {
  const name = description
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_|_$/g, '')
  if (name === '') throw new Error('The description needs a letter or a digit')
  const files: string[] = []
  for (const kind of engines) {
    const folder = migrationsFolder(kind)
    mkdirSync(folder, { recursive: true })
    // Without a snapshot the generator asks the database; from an empty one it works offline and writes `down` as well.
    if (!existsSync(join(folder, `${snapshot}.json`)))
      writeFileSync(join(folder, `${snapshot}.json`), '{"namespaces":[],"tables":[]}')
    const orm = await openOrm(kind)
    const { fileName } = await orm.migrator.create(folder, false, false, name)
    await orm.close()
    if (fileName) files.push(join(folder, fileName))
  }
  return files
}

/** The databases whose migrations lag behind the models: someone changed a model and made no migration. */
export async function findDrift(): Promise<Engine['kind'][]> {
  const drifted: Engine['kind'][] = []
  for (const kind of engines) {
    const orm = await openOrm(kind)
    if (!existsSync(join(migrationsFolder(kind), `${snapshot}.json`)) || (await orm.migrator.checkSchema()))
      drifted.push(kind)
    await orm.close()
  }
  return drifted
}

/** Applies every pending migration. Gives their names. */
export const upgrade = (database: Database): Promise<string[]> =>
  migrate(database, (migrator, transaction) => migrator.up({ transaction }))

/** Takes back the last migration, or all of them. Gives their names. */
export const downgrade = (database: Database, all = false): Promise<string[]> =>
  migrate(database, (migrator, transaction) => migrator.down({ transaction, ...(all && { to: 0 }) }))

/** Drops everything in the database and applies every migration, together. Gives their names. */
export const reset = (database: Database): Promise<string[]> =>
  migrate(database, async (migrator, transaction) => {
    const { kind, dropStatements } = database.engine
    const execute = (text: string) =>
      transaction.executeQuery<{ statement: string }>(CompiledQuery.raw(text)).then(({ rows }) => rows)
    for (const { statement } of await execute(dropStatements)) await execute(statement)
    await execute(createMigrationTable[kind])
    return migrator.up({ transaction })
  })

type Run = (migrator: IMigrator, transaction: ControlledTransaction<Tables>) => Promise<{ name: string }[]>

/** Runs migrations under a lock and in one transaction: of several processes one migrates, and a failure changes nothing. */
async function migrate(database: Database, run: Run): Promise<string[]> {
  const { kind, migrationLock } = database.engine
  const pool: Kysely<Tables> = database.query()
  const execute = (statement: string, executor = pool) => executor.executeQuery(CompiledQuery.raw(statement))
  await pool.transaction().execute(async (transaction) => {
    await execute(migrationLock, transaction)
    await execute(createMigrationTable[kind], transaction)
  })
  // Not closed afterwards: it has nothing open but our own pool.
  const { migrator } = await openOrm(kind, pool)
  await migrator.getExecuted()
  // Rebuilding a table drops the old one, and with it, by its foreign keys, the rows that point to
  // it. The pragma does nothing inside a transaction, so it comes first.
  if (kind === 'sqlite') await execute('pragma foreign_keys = off')
  try {
    return await inTransaction(pool, async (transaction) => {
      await execute(migrationLock, transaction)
      const done = await run(migrator, transaction)
      if (kind === 'sqlite') checkForeignKeys(await execute('pragma foreign_key_check', transaction))
      return done.map(({ name }) => name)
    })
  } finally {
    if (kind === 'sqlite') await execute('pragma foreign_keys = on')
  }
}

/** A transaction that MikroORM can open savepoints in. */
async function inTransaction<T>(
  pool: Kysely<Tables>,
  work: (transaction: ControlledTransaction<Tables>) => Promise<T>,
): Promise<T> {
  const transaction = await pool.startTransaction().execute()
  try {
    const result = await work(transaction)
    await transaction.commit().execute()
    return result
  } catch (error) {
    await transaction.rollback().execute()
    throw error
  }
}

const createMigrationTable = {
  sqlite: `create table if not exists ${migrationTable} (id integer primary key autoincrement, name text not null, executed_at datetime not null default ${sqliteDefaults['now()']})`,
  postgresql: `create table if not exists ${migrationTable} (id serial primary key, name varchar(255) not null, executed_at timestamptz(3) not null default now())`,
}

function checkForeignKeys({ rows }: { rows: unknown[] }): void {
  if (rows.length > 0)
    throw new Error(`The migration leaves ${rows.length} rows that point nowhere: ${JSON.stringify(rows.slice(0, 5))}`)
}
