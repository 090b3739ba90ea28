import { sql } from 'kysely'
import type { Database } from './database.ts'
import { tableNames } from './migrations.ts'

/** How large the database and each of its tables are: `bytes` with the indexes, `rows` counted one by one. */
export async function databaseStats(database: Database) {
  const { engine, query } = database
  const {
    rows: [whole],
  } = await sql<{ version: string; bytes: number }>`
    select ${engine.version} as version, ${engine.size()} as bytes
  `.execute(query())
  const tables = []
  for (const name of await tableNames(database)) {
    const { rows } = await sql<{ name: string; rows: number; bytes: number }>`
      select ${name} as name, (select count(*) from ${sql.table(name)}) as rows, ${engine.size(name)} as bytes
    `.execute(query())
    tables.push(...rows)
  }
  return { ...whole!, tables }
}
