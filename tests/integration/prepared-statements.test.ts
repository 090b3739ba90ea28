import { sql } from 'kysely'
import { afterEach, describe, expect, test } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { createItemListRepository } from '../../src/repositories/item-list.repository.ts'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { behindPgbouncer, freshDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const opened: Database[] = []
const open = (url: string, overrides: Record<string, string> = {}) => {
  opened.push(openDatabase(settings({ DATABASE_URL: url, DATABASE_POOL_SIZE: '1', ...overrides })))
  return opened.at(-1)!
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()))
})

// A PgBouncer gives the connections to others, and names to none.
describe.skipIf(behindPgbouncer)('on postgresql alone', () => {
  const namesOf = async ({ query }: Database) =>
    (
      await sql<{
        name: string
        statement: string
      }>`select name, statement from pg_prepared_statements order by name`.execute(query())
    ).rows

  test('statements with values and without are parsed once, under a name; not where that is switched off', async () => {
    const url = await freshDatabase('postgresql')
    for (const [setting, prepared] of [
      ['true', 2],
      ['false', 0],
    ] as const) {
      const database = open(url, { DATABASE_PREPARED_STATEMENTS: setting })
      const [items, lists] = [createItemRepository(database), createItemListRepository(database)]
      for (let round = 0; round < 5; round++) {
        await items.find('00000000-0000-4000-8000-000000000000')
        await lists.count({})
      }
      const names = await namesOf(database)
      expect(names).toHaveLength(prepared)
      for (const { statement } of names) expect(statement).toContain('from "items"')
    }
  })

  test('a change is parsed once for the fields that it has, whichever version it expects', async () => {
    const database = open(await freshDatabase('postgresql'))
    const items = createItemRepository(database)
    const { public_id } = await items.add({ name: 'there' })
    for (let version = 1; version <= 20; version++)
      expect(await items.change(public_id, { priority: 1 + (version % 5) }, { version })).toMatchObject({
        version: version + 1,
      })
    expect((await namesOf(database)).filter(({ statement }) => statement.startsWith('update'))).toHaveLength(1)
  })

  test('a connection keeps a limited number, and is replaced when it has them', async () => {
    const database = open(await freshDatabase('postgresql'), { DATABASE_POOL_SIZE: '1' })
    const send = async (n: number) => {
      const { rows } = await sql<{ n: number }>`select ${n}::integer as ${sql.ref(`n${n}`)}`.execute(database.query())
      expect(rows).toEqual([{ [`n${n}`]: n }])
    }
    for (let n = 0; n < 510; n++) await send(n)
    expect(await namesOf(database)).toHaveLength(10)
    // Within a transaction it goes on, with what comes then unnamed.
    await database.transaction(async () => {
      for (let n = 0; n < 510; n++) await send(n)
      expect(await namesOf(database)).toHaveLength(500)
    })
    expect(await namesOf(database)).toHaveLength(0)
  })

  test('a transaction that meets a changed column ends in an outage, and the next one does not', async () => {
    const database = open(await freshDatabase('postgresql'))
    const items = createItemRepository(database)
    const { public_id } = await items.add({ name: 'there' })
    await items.find(public_id)
    await sql`alter table items alter column name type varchar(200)`.execute(database.query())
    const find = () => database.transaction(() => items.find(public_id))
    await expect(find()).rejects.toThrow(UnavailableError)
    expect(await find()).toMatchObject({ name: 'there' })
  })
})
