import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { projectRoot } from '../core/config.ts'
import type { Database } from './database.ts'
import type { Engine } from './engine.ts'

export const migrationTable = 'migrations'

/** Where the migrations of a database are. */
export const migrationsFolder = (kind: Engine['kind']): string => join(projectRoot, 'migrations', kind)

/** The names of all migrations, oldest first. */
export const knownMigrations = (kind: Engine['kind']): string[] =>
  readdirSync(migrationsFolder(kind))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .toSorted()

/**
 * Which migrations have been applied and which have not, oldest first; `unknown` are those that were applied by a
 * newer version of the code. Loads no ORM, so that the server may ask at every start.
 */
export async function migrationStatus(database: Database) {
  const files = knownMigrations(database.engine.kind)
  const applied = await appliedMigrations(database)
  return {
    applied,
    pending: files.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !files.includes(name)),
  }
}

/** The tables in the service's own schema: others may have some beside it, of the same name too. */
export async function tableNames({ engine, query }: Database): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`${engine.tables} order by name`.execute(query())
  return rows.map(({ name }) => name)
}

async function appliedMigrations(database: Database): Promise<string[]> {
  // Looking makes no file.
  if (!database.engine.exists()) return []
  if (!(await tableNames(database)).includes(migrationTable)) return []
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(migrationTable)} order by id`.execute(
    database.query(),
  )
  return rows.map(({ name }) => name)
}
