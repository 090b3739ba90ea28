import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { createItemListRepository } from '../../src/repositories/item-list.repository.ts'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'
import { useProject } from '../support/process.ts'
import { settings } from '../support/settings.ts'

const model = { items: 'src/models/item.model.ts', users: 'src/models/user.model.ts' }
const itemIndex =
  "    { name: 'items_search', properties: ['name_folded', 'description_folded'], type: 'trigram', where },\n"

/** What there is of the index, with all that belongs to it. */
const parts = {
  sqlite: sql<{ name: string }>`select name from sqlite_master where name like '%~_search%' escape '~' order by name`,
  postgresql: sql<{
    name: string
  }>`select indexname as name from pg_indexes where indexname like '%search' order by 1`,
}

onEachDatabase((kind) => {
  let database: Database
  beforeEach(async () => {
    database = openDatabase(settings({ DATABASE_URL: await freshDatabase(kind) }))
    await insertItems(database, [
      { name: 'Alphabet' },
      { name: 'second', description: 'of the alphabet' },
      { name: 'alphabet', deleted_at: '2026-01-01T00:00:00.000Z' },
    ])
  })
  afterEach(() => database.close())
  const partsOf = async () => (await parts[kind].execute(database.query())).rows.map(({ name }) => name)

  /** Search finds what was there, follows what changes, and the database finds nothing wrong with it. */
  async function expectSearchRight() {
    const [items, lists] = [createItemRepository(database), createItemListRepository(database)]
    const find = async (word: string) => {
      const { rows } = await lists.search(word, {}, { sort: 'name', limit: 10 }, true)
      return rows.map(({ name }) => name).join()
    }
    expect(await find('ALPHA')).toBe('Alphabet,second')
    const { public_id } = await items.add({ name: 'Gamut' })
    expect(await find('gamut')).toBe('Gamut')
    await items.change(public_id, { name: 'Scale' })
    expect([await find('gamut'), await find('scale')]).toEqual(['', 'Scale'])
    await items.remove(public_id)
    await items.restore(public_id)
    expect(await find('scale')).toBe('Scale')
    await database.query().deleteFrom('items').where('public_id', '=', public_id).execute()
    expect(await find('scale')).toBe('')
  }

  describe('a migration of the items', () => {
    const [rebuilt, changed] = [useProject(), useProject()]

    test('that makes their table anew on SQLite keeps search right, up and down', async () => {
      rebuilt.edit(model.items, 'priority <= 5', 'priority <= 9')
      rebuilt.edit(model.items, 'priority: p.integer()', 'stars: p.integer().default(3),\n    priority: p.integer()')
      const { createMigrations, findDrift, upgrade, downgrade } = await rebuilt.migrator()
      await createMigrations('more priorities')
      expect(await findDrift()).toEqual([])
      const before = await partsOf()
      expect(await upgrade(database)).toHaveLength(1)
      await expectSearchRight()
      expect(await partsOf()).toEqual(before)
      await downgrade(database)
      await expectSearchRight()
      expect(await partsOf()).toEqual(before)
    })

    test('that changes what is searched takes effect for the rows that are there, up and down', async () => {
      changed.edit(model.items, "['name_folded', 'description_folded'], type", "['description_folded'], type")
      const { createMigrations, findDrift, upgrade, downgrade } = await changed.migrator()
      await createMigrations('search descriptions alone')
      expect(await findDrift()).toEqual([])
      expect(await upgrade(database)).toHaveLength(1)
      const index = { index: 'items_search', table: 'items', columns: ['description_folded'] }
      const phrase = sql<string>`${database.search.phrase('alphabet')}`
      const found = sql`select name from ${database.search.find(index, phrase)} as found`
      expect((await found.execute(database.query())).rows).toEqual([{ name: 'second' }])
      await downgrade(database)
      await expectSearchRight()
    })
  })

  describe('a migration made from the models', () => {
    const [added, dropped] = [useProject(), useProject()]

    test('adds an index to a table that holds rows, and takes it away again', async () => {
      added.edit(
        model.users,
        '  uniques:',
        "  indexes: [{ name: 'users_search', properties: ['first_name', 'last_name'], type: 'trigram', where: 'deleted_at is null' }],\n  uniques:",
      )
      const { createMigrations, findDrift, upgrade, downgrade } = await added.migrator()
      await createMigrations('search accounts')
      expect(await findDrift()).toEqual([])
      const person = { password_hash: 'x', first_name: 'Ada', last_name: 'Lovelace' }
      const people = ['one', 'two', 'three'].map((name) => ({ ...person, email: `${name}@example.com` }))
      await database.query().insertInto('users').values(people).execute()
      const users = () => database.query().updateTable('users').where('email', '=', 'two@example.com')
      await users().set({ deleted_at: database.clock() }).execute()

      const before = await partsOf()
      await upgrade(database)
      expect(await partsOf()).not.toEqual(before)
      const index = { index: 'users_search', table: 'users', columns: ['first_name', 'last_name'] }
      const phrase = sql<string>`${database.search.phrase('ovela')}`
      const found = async () => {
        const live = sql<{
          email: string
        }>`select email from ${database.search.find(index, phrase)} as found where deleted_at is null order by id`
        const { rows } = await live.execute(database.query())
        return rows.map(({ email }) => email.split('@')[0])
      }
      expect(await found()).toEqual(['one', 'three'])
      await users().set({ deleted_at: null }).execute()
      expect(await found()).toEqual(['one', 'two', 'three'])
      await users().set({ last_name: 'Byron' }).execute()
      expect(await found()).toEqual(['one', 'three'])

      await downgrade(database)
      expect(await partsOf()).toEqual(before)
      await users().set({ last_name: 'King' }).execute()
      await expectSearchRight()
    })

    test('drops one with all that belongs to it, and brings it back for the rows that are there', async () => {
      dropped.edit(model.items, itemIndex, '')
      const { createMigrations, findDrift, upgrade, downgrade } = await dropped.migrator()
      await createMigrations('search no more')
      expect(await findDrift()).toEqual([])
      const before = await partsOf()
      expect(before).not.toEqual([])
      await upgrade(database)
      expect(await partsOf()).toEqual([])
      await createItemRepository(database).add({ name: 'made meanwhile' })
      await database.query().deleteFrom('items').where('name', '=', 'made meanwhile').execute()
      await downgrade(database)
      expect(await partsOf()).toEqual(before)
      await expectSearchRight()
    })
  })
})
