import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { projectRoot } from '../core/config.ts'
import type { Database } from './database.ts'
import type { Engine } from './engine.ts'

export const migrationTable = 'migrations'

/** Where the migrations of a database are. */
export const migrationsFolder = (kind: Engine['kind']): string => join(projectRoot, 'migrations', kind)

/**
 * Which migrations have been applied and which have not, oldest first; `unknown` are those that were applied by a
 * newer version of the code. Loads no ORM, so that the server may ask at every start.
 */
export async function migrationStatus(database: Database) {
  const files = readdirSync(migrationsFolder(database.engine.kind))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .toSorted()
  const applied = await appliedMigrations(database)
  return {
    applied,
    pending: files.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !files.includes(name)),
  }
}

async function appliedMigrations(database: Database): Promise<string[]> {
  // Looking makes no file.
  if (!database.engine.exists()) return []
  const tables = await database.query().introspection.getTables()
  if (!tables.some(({ name }) => name === migrationTable)) return []
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(migrationTable)} order by id`.execute(
    database.query(),
  )
  return rows.map(({ name }) => name)
}
