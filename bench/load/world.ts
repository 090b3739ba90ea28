// What the requests need in the database: an account with its items, and rows to use up.
import { randomUUID } from 'node:crypto'
import { addItems, countRows } from '../../src/db/bulk-seed.ts'
import { newEmail, register } from '../support/requests.ts'
import { withDatabase, type Server } from '../support/workbench.ts'
import type { World } from './requests.ts'

/** Ids that a load goes through. */
const asked = 1000

/** Registers an account with the template, and adds items, of which it owns four in five. */
export async function createWorld(server: Server, items: number): Promise<World> {
  const token = await register(server, newEmail(), randomUUID())
  await addRows(server.databaseUrl, items)
  return { token, ids: await newestIds(server.databaseUrl, asked) }
}

/** Adds items, of which the accounts there are own four in five. Gives the highest id before. */
export const addRows = (databaseUrl: string, items: number): Promise<number> =>
  withDatabase(databaseUrl, async (database) => {
    const before = await highestId(databaseUrl)
    const start = await countRows(database, 'items')
    await addItems(database, { start, wanted: start.count + items, advance: () => {} })
    return before
  })

/** The public ids of the newest items that have an owner. */
export const newestIds = (databaseUrl: string, count: number, after = 0): Promise<string[]> =>
  withDatabase(databaseUrl, async ({ query }) => {
    const rows = await query()
      .selectFrom('items')
      .where('owner_id', 'is not', null)
      .where('id', '>', after)
      .orderBy('id', 'desc')
      .limit(count)
      .select('public_id')
      .execute()
    return rows.map(({ public_id }) => public_id)
  })

export const highestId = (databaseUrl: string): Promise<number> =>
  withDatabase(databaseUrl, async ({ query }) => {
    const newest = await query().selectFrom('items').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
    return newest?.id ?? 0
  })

/** Takes away, for good, what was added since: each load finds the same tables. */
export const removeSince = (databaseUrl: string, highest: number): Promise<unknown> =>
  withDatabase(databaseUrl, ({ query }) => query().deleteFrom('items').where('id', '>', highest).execute())
