import { describe, expect, test } from 'vitest'
import { fold } from '../../src/core/fold.ts'
import { itemSorts } from '../../src/models/enums.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { expected, second, useOrderedItems } from '../support/ordered-items.ts'

onEachDatabase((kind) => {
  const { known, page, walk } = useOrderedItems(useApi(kind))

  describe('each item is shown once, in its order,', () => {
    test.for(itemSorts)('by %s, with ties, in the list and in the search', async (sort) => {
      for (const by of ['cursor', 'page'] as const) {
        expect(await walk(`?sort=${sort}&per_page=7`, by)).toEqual(expected(sort))
        const found = expected(sort, ({ description }) => description !== null)
        expect(await walk(`/search?q=needle&sort=${sort}&per_page=4`, by)).toEqual(found)
        expect(await walk(`/search?q=ne&sort=${sort}&per_page=5`, by)).toEqual(found)
      }
    })

    test.for([
      ['status=active', ({ status }) => status === 'active'],
      ['priority=3', ({ priority }) => priority === 3],
      [`created_after=${second(3)}`, ({ created_at }) => created_at > second(3)],
      [`created_before=${second(3)}`, ({ created_at }) => created_at < second(3)],
      [`created_before=2026-01-01T02:00:03%2B02:00`, ({ created_at }) => created_at < second(3)],
      [`created_after=${second(3)}&created_before=${second(4)}`, () => false],
      [
        `status=draft&priority=1&created_after=${second(0)}&created_before=${second(9)}`,
        ({ status, priority, created_at }) =>
          status === 'draft' && priority === 1 && created_at > second(0) && created_at < second(9),
      ],
    ] as [string, Parameters<typeof expected>[1]][])('narrowed to %s', async ([filter, isMeant]) => {
      for (const sort of itemSorts) {
        expect(await walk(`?sort=${sort}&per_page=4&${filter}`)).toEqual(expected(sort, isMeant))
        const { pagination } = await page(`/search?q=abc&${filter}`)
        const found = expected(sort, (row, n) => isMeant!(row, n) && fold(row.name).includes('abc'))
        expect(pagination.total).toBe(found.length)
      }
    })

    test('narrowed to an owner; of nobody there are none', async () => {
      const of = (id: string) => walk(`?sort=name&per_page=3&owner=${id}`)
      expect(await of(known.owner.public_id)).toEqual(expected('name', (_, n) => n % 4 === 0))
      expect(await of(known.owner.public_id.toUpperCase())).toHaveLength(17)
      expect(await of('00000000-0000-4000-8000-000000000000')).toEqual([])
    })
  })

  test('the total can be left out, and nothing else goes with it', async () => {
    for (const query of [
      '?per_page=5',
      '?per_page=5&page=3',
      '/search?q=needle&per_page=5',
      '/search?q=e&status=draft',
    ]) {
      const { total, total_pages, ...others } = (await page(query)).pagination
      expect([total, total_pages]).toEqual([expect.any(Number), Math.ceil(total / others.per_page)])
      const without = await page(`${query}&include_total=false`)
      expect({ ...without.pagination, next_cursor: '' }).toEqual({ ...others, next_cursor: others.next_cursor && '' })
    }
  })
})
