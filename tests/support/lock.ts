import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'

/**
 * Lets nobody else write into some tables; on SQLite into none at all. Gives what ends that.
 * @param mode of PostgreSQL's lock: by default others may read
 */
export async function lockTables(
  url: string,
  tables: string[],
  mode: 'share row exclusive' | 'access exclusive' = 'share row exclusive',
): Promise<() => Promise<void>> {
  if (url.startsWith('sqlite:')) {
    const holder = new DatabaseSync(url.slice('sqlite:///'.length), { timeout: 5000 })
    holder.exec('begin immediate')
    return async () => holder.close()
  }
  const holder = new pg.Client(url)
  await holder.connect()
  await holder.query('begin')
  await holder.query(`lock table ${tables.join(', ')} in ${mode} mode`)
  return () => holder.end()
}
