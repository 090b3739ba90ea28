import { beforeAll } from 'vitest'
import { fold } from '../../src/core/fold.ts'
import { itemStatuses, type ItemSort } from '../../src/models/enums.ts'
import type { Account, Api } from './api.ts'
import { insertItems } from './items.ts'

export const second = (n: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString()

/** Of each several, in an order that no sort has; some differ in letter case alone. */
const names = [
  'zebra',
  'Zebra',
  'ábc',
  'abc',
  'ABC 10',
  'ABC 9',
  'Ωmega',
  'ωMEGA',
  '🦊 fox',
  '￿',
  'İ',
  'straße',
  'STRASSE',
]
export const rows = Array.from({ length: 65 }, (_, n) => ({
  name: names[(n * 5) % names.length]!,
  description: n % 3 === 0 ? 'The NEEDLE' : null,
  status: itemStatuses[n % 3]!,
  priority: 1 + ((n * 3) % 5),
  created_at: second((n * 7) % 10),
}))

/** The bytes of the folded names decide, on every database. */
const keys: Record<string, (row: (typeof rows)[number]) => (string | number)[]> = {
  created_at: ({ created_at }) => [created_at],
  priority: ({ priority, created_at }) => [priority, created_at],
  name: ({ name }) => [Buffer.from(fold(name)).toString('hex')],
}

/** The numbers of the rows that a list has to show, in their order. Ties are in the order of their making. */
export function expected(sort: ItemSort, isMeant: (row: (typeof rows)[number], n: number) => boolean = () => true) {
  const key = keys[sort.replace('-', '')]!
  const numbers = rows.flatMap((row, n) => (isMeant(row, n) ? [n] : []))
  const compare = (a: number, b: number) => {
    const [left, right] = [
      [...key(rows[a]!), a],
      [...key(rows[b]!), b],
    ]
    const at = left.findIndex((value, index) => value !== right[index])
    return left[at]! < right[at]! ? -1 : 1
  }
  const ordered = numbers.toSorted((a, b) => (a === b ? 0 : compare(a, b)))
  return sort.startsWith('-') ? ordered.toReversed() : ordered
}

/** Inserts the rows before the tests of a `describe` block, and reads them page by page. */
export function useOrderedItems(api: Api) {
  const known = {} as { account: Account; owner: { id: number; public_id: string }; ids: string[] }
  beforeAll(async () => {
    known.account = await api.account()
    known.owner = await api.database.query().selectFrom('users').select(['id', 'public_id']).executeTakeFirstOrThrow()
    const owned = rows.map((row, n) => ({ ...row, owner_id: n % 4 === 0 ? known.owner.id : null }))
    await insertItems(api.database, owned)
    const added = await api.database.query().selectFrom('items').select('public_id').orderBy('id').execute()
    known.ids = added.map(({ public_id }) => public_id)
  })
  const page = async (query: string) => (await api.get(`/api/v1/items${query}`)).body.data
  return {
    known,
    page,
    /** The numbers of the rows shown from page to page, by the cursors or by the numbers of the pages; -1 for another row. */
    async walk(query: string, by: 'cursor' | 'page' = 'cursor', from = '') {
      const shown: number[] = []
      for (let next = from; ;) {
        const { items, pagination } = await page(`${query}${next}`)
        shown.push(...items.map(({ public_id }: { public_id: string }) => known.ids.indexOf(public_id)))
        if (!pagination.has_next) return shown
        next = by === 'cursor' ? `&cursor=${pagination.next_cursor}` : `&page=${pagination.page + 1}`
      }
    },
  }
}
