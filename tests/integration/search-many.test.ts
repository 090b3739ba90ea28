import { beforeAll, beforeEach, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/db/database.ts'
import type { ItemSort } from '../../src/models/enums.ts'
import {
  createItemListRepository,
  placeOf,
  type ItemFilter,
  type ItemListRepository,
  type ItemRange,
} from '../../src/repositories/item-list.repository.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'
import { settings } from '../support/settings.ts'

// Up to a thousand items that contain a word are found before they are ordered; more are walked through in order.

const statuses = ['draft', 'active'] as const
const rows = Array.from({ length: 1600 }, (_, n) => ({
  name: n % 4 === 3 ? `other ${n}` : `Plenty ${(n * 7) % 100}`,
  status: statuses[n % 2]!,
  priority: 1 + (n % 5),
  created_at: new Date(Date.UTC(2026, 0, 1) + (n >> 1) * 1000).toISOString(),
}))
onEachDatabase((kind) => {
  let database: Database
  let lists: ItemListRepository
  beforeAll(async () => {
    database = openDatabase(settings({ DATABASE_URL: await freshDatabase(kind) }))
    lists = createItemListRepository(database)
    return () => database.close()
  })
  const clear = () => database.query().deleteFrom('items').execute()
  beforeEach(clear)

  const insert = async (count: number) => {
    for (let n = 0; n < count; n += 400) await insertItems(database, rows.slice(n, Math.min(n + 400, count)))
  }

  test.for([
    ['-created_at', {}],
    ['name', {}],
    ['-priority', { status: 'active' }],
    ['created_at', { created_after: rows[100]!.created_at, created_before: rows[1500]!.created_at }],
    ['-name', { status: 'draft', priority: 3 }],
  ] as [ItemSort, ItemFilter][])(
    'the pages by %s among %o are right, by number and by place',
    async ([sort, filter]) => {
      await insert(1600)
      const all = await lists.list(filter, { sort, limit: 2000 })
      const expected = all.filter(({ name }) => name.startsWith('Plenty'))
      const total = expected.length
      const search = async (place: Pick<ItemRange, 'after' | 'offset'>) => {
        const found = await lists.search('PLENTY', filter, { sort, limit: 50, ...place }, true)
        expect(found.total).toBe(total)
        return found.rows.map(({ id }) => id)
      }
      const idsFrom = (start: number) => expected.slice(start, start + 50).map(({ id }) => id)
      expect(await search({})).toEqual(idsFrom(0))
      for (const offset of [100, total - 1, total]) expect(await search({ offset })).toEqual(idsFrom(offset))
      for (const at of [0, total >> 1, total - 1])
        expect(await search({ after: placeOf(expected[at]!, sort) })).toEqual(idsFrom(at + 1))
    },
  )

  test('and of one that exactly a thousand contain, the total is told', async () => {
    for (const [count, total] of [
      [1332, 999],
      [1333, 1000],
      [1334, 1001],
    ] as const) {
      await clear()
      await insert(count)
      for (const offset of [undefined, total - 1, total]) {
        const found = await lists.search('plenty', {}, { sort: 'name', limit: 10, offset }, true)
        expect([found.total, found.rows.length]).toEqual([total, Math.min(10, total - (offset ?? 0))])
      }
    }
  })
})
