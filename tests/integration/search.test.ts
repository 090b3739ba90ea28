import { beforeEach, describe, expect, test } from 'vitest'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'

const path = '/api/v1/items'
const names = (items: { name: string }[]) => items.map(({ name }) => name)
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

onEachDatabase((kind) => {
  const api = useApi(kind)
  const insert = (...rows: Parameters<typeof insertItems>[1]) => insertItems(api.database, rows)
  const list = async (query: string) => (await api.get(`${path}?${query}`)).body.data
  const search = async (q: string, more = '') =>
    (await api.get(`${path}/search?q=${encodeURIComponent(q)}${more}`)).body.data

  beforeEach(async () => {
    await api.database.query().deleteFrom('items').execute()
  })

  describe('the list', () => {
    test('shows the newest item first, whatever the order of insertion', async () => {
      await insert(
        { name: 'second', created_at: '2026-01-02T00:00:00.000Z' },
        { name: 'first', created_at: '2026-01-01T00:00:00.000Z' },
        { name: 'third', created_at: '2026-01-03T00:00:00.000Z' },
      )
      expect(names((await list('')).items)).toEqual(['third', 'second', 'first'])
    })

    test('shows each item once over all pages, even when all were made at the same time', async () => {
      await insert(...upTo(25).map((n) => ({ name: `${n}`, created_at: '2026-01-01T00:00:00.000Z' })))
      const pages = await Promise.all([1, 2, 3].map((page) => list(`page=${page}&per_page=10`)))
      const shown = pages.flatMap(({ items }) => names(items))
      expect(shown).toEqual(upTo(25).toReversed().map(String))
      const all = { total: 25, per_page: 10, total_pages: 3 }
      expect(pages.map(({ pagination }) => pagination)).toEqual([
        { ...all, page: 1, has_next: true, has_prev: false, next_cursor: expect.any(String) },
        { ...all, page: 2, has_next: true, has_prev: true, next_cursor: expect.any(String) },
        { ...all, page: 3, has_next: false, has_prev: true, next_cursor: null },
      ])
    })

    test('has twenty items on a page unless asked, and is empty without items', async () => {
      const end = { has_next: false, has_prev: false, next_cursor: null }
      const none = { total: 0, page: 1, per_page: 20, total_pages: 0, ...end }
      expect(await list('')).toEqual({ items: [], pagination: none })
      await insert(...upTo(21).map((n) => ({ name: `${n}` })))
      expect((await list('')).items).toHaveLength(20)
      expect((await list('per_page=100')).items).toHaveLength(21)
    })

    test('answers a page far behind the last with an empty one', async () => {
      await insert({ name: 'only' })
      const { items, pagination } = await list('page=2147483647&per_page=100')
      expect(items).toEqual([])
      expect(pagination).toMatchObject({ total: 1, total_pages: 1, has_next: false, has_prev: true })
    })

    test('can be narrowed to one status, and counts no others', async () => {
      const token = (await api.account()).access_token
      for (const status of ['draft', 'active', 'active', 'archived'])
        await api.post(path, { name: status, status }, { token })
      expect(await list('status=active')).toMatchObject({
        items: [{ status: 'active' }, { status: 'active' }],
        pagination: { total: 2 },
      })
    })

    test.for([
      ...['0', '-1', 'abc', '1e2', '1.5', '', '%201', '%2B1', '0x1', '2147483648', '99999999999999999999'].map(
        (value) => ['page', `page=${value}`] as const,
      ),
      ...['0', '-1', '101', 'abc', '1e2', ''].map((value) => ['per_page', `per_page=${value}`] as const),
      ['page', 'page=1&page=2'] as const,
      ['page[]', 'page[]=1'] as const,
      ['page[]', 'page%5B%5D=1'] as const,
      ['page[x]', 'page[x]=1'] as const,
      ['status', 'status=lost'] as const,
      ['status', 'status='] as const,
      ['status', 'status=draft&status=active'] as const,
      ['sort', 'sort=owner'] as const,
      ['sort', 'sort='] as const,
      ['sort', 'sort=-created_at&sort=name'] as const,
      ...['0', '6', '1.5', 'x', ''].map((value) => ['priority', `priority=${value}`] as const),
      ['owner', 'owner=me'] as const,
      ...['', 'now', '2026', '2026-13-01T00:00:00Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59-01:00', '%00'].map(
        (value) => ['created_after', `created_after=${value}`] as const,
      ),
      ['created_before', 'created_before=yesterday'] as const,
      ...['', 'yes', '1', 'TRUE'].map((value) => ['include_total', `include_total=${value}`] as const),
      ...['', 'x', '%00', `gAAAAA${'A'.repeat(200)}`, 'x'.repeat(2000)].map(
        (value) => ['cursor', `cursor=${value}`] as const,
      ),
      ['q', 'q=x'] as const,
    ])('refuses, naming %s: %s', async ([field, query]) => {
      const { status, body } = await api.get(`${path}?${query}`)
      expect(status).toBe(400)
      expect(body).toMatchObject({ code: 'validation_error', errors: [{ field }] })
    })
  })

  describe('the search', () => {
    describe('finds', () => {
      const things = ['Änderung ÖL', 'ΟΔΥΣΣΕΥΣ', 'Straße', 'МОСКВА', String.raw`50%_off\now`, 'plain']
      beforeEach(() => insert(...things.map((name) => ({ name }))))

      test.for([
        ['änderung öl', 'Änderung ÖL'],
        ['ÄNDERUNG', 'Änderung ÖL'],
        ['οδυσσευς', 'ΟΔΥΣΣΕΥΣ'],
        ['οδυσσευσ', 'ΟΔΥΣΣΕΥΣ'],
        ['straße', 'Straße'],
        ['STRASSE', 'Straße'],
        ['STRAẞE', 'Straße'],
        ['москва', 'МОСКВА'],
        ['%', String.raw`50%_off\now`],
        ['_', String.raw`50%_off\now`],
        ['\\', String.raw`50%_off\now`],
        [String.raw`%_OFF\NOW`, String.raw`50%_off\now`],
        ['lai', 'plain'],
      ])('%s in %s', async ([q, name]) => {
        expect(names((await search(q!)).items)).toEqual([name])
      })
    })

    test('looks into descriptions too, and passes over deleted items', async () => {
      await insert(
        { name: 'one', description: 'Here is the NEEDLE.' },
        { name: 'two', description: null },
        { name: 'needle', deleted_at: '2026-01-01T00:00:00.000Z' },
      )
      expect(await search('needle')).toMatchObject({ items: [{ name: 'one' }], count: 1, pagination: { total: 1 } })
      expect(await search('absent')).toMatchObject({ items: [], count: 0, pagination: { total: 0, total_pages: 0 } })
    })

    test('tells how many are on this page and how many there are', async () => {
      await insert(...upTo(25).map((n) => ({ name: `thing ${n}` })), { name: 'other' })
      const { items, count, pagination } = await search('thing', '&page=3&per_page=10')
      expect(names(items)).toEqual(['thing 5', 'thing 4', 'thing 3', 'thing 2', 'thing 1'])
      expect(count).toBe(5)
      const end = { has_next: false, has_prev: true, next_cursor: null }
      expect(pagination).toEqual({ total: 25, page: 3, per_page: 10, total_pages: 3, ...end })
    })

    test('takes one to a hundred characters', async () => {
      await insert({ name: '🦊'.repeat(100) }, { name: 'a b' })
      expect((await search('🦊'.repeat(100))).count).toBe(1)
      expect((await search(' ')).count).toBe(1)
      for (const q of ['', '🦊'.repeat(101), 'x'.repeat(101)]) {
        const { status, body } = await api.get(`${path}/search?q=${encodeURIComponent(q)}`)
        expect(status).toBe(400)
        expect(body.errors).toEqual([{ field: 'q', message: 'must have 1 to 100 characters' }])
      }
    })

    test.for([
      ['q', ''],
      ['q', 'q=a&q=b'],
      ['q[]', 'q=a&q[]=b'],
      ['per_page', 'q=a&per_page=101'],
      ['status', 'q=a&status=lost'],
      ['cursor', 'q=a&cursor=x'],
    ])('refuses, naming %s: %s', async ([field, query]) => {
      const { status, body } = await api.get(`${path}/search?${query}`)
      expect(status).toBe(400)
      expect(body).toMatchObject({ code: 'validation_error', errors: [{ field }] })
    })
  })
})
