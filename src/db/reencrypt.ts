import { sql } from 'kysely'
import { DecryptionError, type Encryption } from '../core/security/encryption.ts'
import { encryptedColumns } from '../models/encrypted.ts'
import type { Database } from './database.ts'

/** Rows that are looked at, and changed, together. */
const batch = 500

/**
 * Encrypts what is still under an earlier key again, under the first one. It may be run beside servers,
 * and again after it was interrupted: a row that a request changes meanwhile is left to the request.
 * @returns for each encrypted column how many values were `renewed`, were `current` already, and are
 *   `unreadable` under every key; those stay as they are
 */
export async function reencrypt(database: Database, encryption: Encryption) {
  const done = []
  for (const [table, columns] of Object.entries(encryptedColumns))
    for (const column of columns) done.push(await reencryptColumn(database, encryption, table, column))
  return done
}

async function reencryptColumn(database: Database, encryption: Encryption, table: string, column: string) {
  const [from, name] = [sql.table(table), sql.ref(column)]
  const counts = { renewed: 0, current: 0, unreadable: 0 }

  /** Raw statements are not translated: what they read and write are the tokens themselves. */
  const renewBatch = async (after: number) => {
    const { rows } = await sql<{ id: number; token: string }>`
      select id, ${name} as token from ${from} where id > ${after} and ${name} is not null order by id limit ${batch}
    `.execute(database.query())
    const outcomes = rows.map((row) => ({ ...row, ...renew(row.token, encryption) }))
    for (const { id, token, renewed } of outcomes)
      if (renewed !== undefined)
        await sql`update ${from} set ${name} = ${renewed} where id = ${id} and ${name} = ${token}`.execute(
          database.query(),
        )
    return outcomes
  }

  let outcomes
  let last = 0
  do {
    outcomes = await database.transaction(() => renewBatch(last))
    for (const { id, state } of outcomes) {
      counts[state]++
      last = id
    }
  } while (outcomes.length === batch)
  return { column: `${table}.${column}`, ...counts }
}

function renew(token: string, encryption: Encryption) {
  try {
    if (encryption.isCurrent(token)) return { state: 'current' as const }
    return { state: 'renewed' as const, renewed: encryption.encrypt(encryption.decrypt(token)) }
  } catch (error) {
    if (error instanceof DecryptionError) return { state: 'unreadable' as const }
    throw error
  }
}
