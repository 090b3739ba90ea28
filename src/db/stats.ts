import { sql } from 'kysely'
import type { Database } from './database.ts'

/** How large the database and each of its tables are: `bytes` with the indexes, `rows` counted one by one. */
export async function databaseStats({ engine, query }: Database) {
  const {
    rows: [whole],
  } = await sql<{ version: string; bytes: number }>`
    select ${engine.version} as version, ${engine.size()} as bytes
  `.execute(query())
  const tables = []
  for (const { name, isView } of await query().introspection.getTables()) {
    if (isView) continue
    const { rows } = await sql<{ name: string; rows: number; bytes: number }>`
      select ${name} as name, (select count(*) from ${sql.table(name)}) as rows, ${engine.size(name)} as bytes
    `.execute(query())
    tables.push(...rows)
  }
  return { ...whole!, tables }
}
