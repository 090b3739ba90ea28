import { describe, expect, test } from 'vitest'
import { createEncryption } from '../../src/core/security/encryption.ts'
import { itemSorts } from '../../src/models/enums.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'
import { expected, second, useOrderedItems } from '../support/ordered-items.ts'
import { environment } from '../support/settings.ts'

const path = '/api/v1/items'
const otherKey = 'D7favuAZ-p0P4LxVUUXi0gMhbl_SeIX3qdr-ZzKVzjk='
const encryption = createEncryption([environment.ENCRYPTION_KEY])

onEachDatabase((kind) => {
  const api = useApi(kind)
  const { known, page, walk } = useOrderedItems(api)

  describe('a cursor', () => {
    const cursorOf = async (query: string) => (await page(query)).pagination.next_cursor as string

    test('tells nothing of the place that it stands for', async () => {
      const cursor = await cursorOf('?per_page=2&sort=name')
      expect(cursor).toMatch(/^gAAAAA[\w-]+=*$/)
      const bytes = Buffer.from(cursor, 'base64url').toString('latin1')
      for (const part of ['name', 'abc', 'after', '_id']) expect(bytes).not.toContain(part)
      expect(await cursorOf('?per_page=2&sort=name')).not.toBe(cursor)
    })

    test('has no number of a page', async () => {
      const { pagination } = await page(`?per_page=5&cursor=${await cursorOf('?per_page=5')}`)
      expect(pagination).toMatchObject({ total: 65, total_pages: 13, has_next: true, has_prev: true })
      expect(pagination).not.toHaveProperty('page')
    })

    test('of an item with the longest name there is can be sent back', async () => {
      // Folded, each letter is three, of six bytes.
      const names = ['ΐ', 'ΐ', '\u0001', '\u0001'].map((letter) => letter.repeat(100))
      await insertItems(
        api.database,
        names.map((name) => ({ name, created_at: second(99) })),
      )
      for (const sort of ['name', '-name']) {
        const query = `?per_page=1&created_after=${second(98)}&sort=${sort}`
        expect(await walk(query)).toHaveLength(4)
      }
      await api.database.query().deleteFrom('items').where('created_at', '=', second(99)).execute()
    })

    const otherLetter = (cursor: string) => cursor.slice(0, 40) + (cursor[40] === 'A' ? 'B' : 'A') + cursor.slice(41)
    const place = '["-created_at",{"after_created_at":"2026-01-01T00:00:00.000Z","after_id":1}]'
    test.for([
      ['with another letter', otherLetter],
      ['cut short', (cursor) => cursor.slice(0, -4)],
      ['with something behind it', (cursor) => `${cursor}=`],
      ['in plain text', () => Buffer.from(place).toString('base64url')],
      ["under another server's key", () => createEncryption([otherKey]).encrypt(place)],
      ['that is a ciphertext of something else', () => encryption.encrypt('127.0.0.1')],
      ['that is other JSON', () => encryption.encrypt('{"sort":"-created_at"}')],
      ['that is an access token', () => known.account.access_token],
      ['that is a refresh token', () => known.account.refresh_token],
    ] as [string, (cursor: string) => string][])('%s is refused', async ([, change]) => {
      const cursor = await cursorOf('?per_page=5')
      for (const query of ['?', '/search?q=e&']) {
        const { status, body } = await api.get(`${path}${query}cursor=${encodeURIComponent(change(cursor))}`)
        expect([status, body.code, body.errors]).toEqual([
          400,
          'validation_error',
          [{ field: 'cursor', message: 'is not the next_cursor of a page' }],
        ])
      }
    })

    test('of another sort, or beside a page, is refused', async () => {
      const cursor = await cursorOf('?per_page=5')
      for (const [more, message] of [
        ['sort=created_at', 'belongs to another sort'],
        ['sort=name', 'belongs to another sort'],
        ['page=1', 'cannot be given together with page'],
      ]) {
        const { status, body } = await api.get(`${path}?cursor=${cursor}&${more}`)
        expect([status, body.errors]).toEqual([400, [{ field: 'cursor', message }]])
      }
    })
  })

  test.for(itemSorts)('by %s, rows that come and go between the pages move no other', async (sort) => {
    const order = expected(sort)
    const query = `?sort=${sort}&per_page=5`
    const { pagination } = await page(query)
    // The item where the page ended goes, as do one before and one behind it; others come on both sides.
    const gone = [3, 4, 10].map((at) => order[at]!)
    const setDeleted = (deleted_at: string | null) =>
      items
        .set({ deleted_at })
        .where(
          'public_id',
          'in',
          gone.map((n) => known.ids[n]!),
        )
        .execute()
    const items = api.database.query().updateTable('items')
    await setDeleted(second(0))
    const extremes = [
      { name: '!', priority: 1, created_at: second(-5) },
      { name: '\u{10ffff}', priority: 5, created_at: second(99) },
    ]
    await insertItems(api.database, extremes)
    const rest = await walk(query, 'cursor', `&cursor=${pagination.next_cursor}`)
    for (const { name } of extremes) await api.database.query().deleteFrom('items').where('name', '=', name).execute()
    await setDeleted(null)
    expect(rest).toEqual([...order.slice(5).filter((n) => !gone.includes(n)), -1])
  })
})
