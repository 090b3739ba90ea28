import { describe, expect, test } from 'vitest'
import { ValidationError } from '../../src/core/errors.ts'
import { fold } from '../../src/core/fold.ts'
import { createPages, offsetOf, paginate } from '../../src/core/pagination.ts'
import { createEncryption } from '../../src/core/security/encryption.ts'

test('an empty list has no pages', () => {
  expect(paginate({ page: 1, per_page: 20 }, 0)).toEqual({
    total: 0,
    page: 1,
    per_page: 20,
    total_pages: 0,
    has_next: false,
    has_prev: false,
  })
})

test.for([
  { total: 20, total_pages: 1 },
  { total: 21, total_pages: 2 },
  { total: 40, total_pages: 2 },
])('$total entries at 20 a page fill $total_pages pages', ({ total, total_pages }) => {
  expect(paginate({ page: 1, per_page: 20 }, total)).toMatchObject({ total, total_pages, has_next: total_pages > 1 })
})

test('the first page has none before it, the last none after it, and one between has both', () => {
  const sides = [1, 2, 3].map((page) => paginate({ page, per_page: 10 }, 25))
  expect(sides.map(({ has_prev }) => has_prev)).toEqual([false, true, true])
  expect(sides.map(({ has_next }) => has_next)).toEqual([true, true, false])
})

test('a page beyond the last says how to get back', () => {
  expect(paginate({ page: 9, per_page: 10 }, 25)).toMatchObject({ total_pages: 3, has_next: false, has_prev: true })
})

test('the pages pass over what stands before them', () => {
  expect(offsetOf({ page: 1, per_page: 20 })).toBe(0)
  expect(offsetOf({ page: 3, per_page: 20 })).toBe(40)
})

describe('pages with cursors', () => {
  const [newKey, oldKey] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)].map((key) => key.toString('base64url')) as [
    string,
    string,
  ]
  const pagesOf = (...keys: string[]) => createPages(createEncryption(keys))
  const pages = pagesOf(oldKey)
  const request = { per_page: 2, include_total: true, sort: 'name' }
  const placeOf = ({ name }: { name: string }) => ({ after_name: name })
  const rows = ['a', 'b', 'c'].map((name) => ({ name }))
  const cursor = pages.pageOf(request, rows, undefined, placeOf).pagination.next_cursor!

  test('one row more than are shown is read, and tells that there is a next page', () => {
    expect(pages.rangeOf(request)).toEqual({ sort: 'name', limit: 3, offset: undefined, after: undefined })
    const { shown, pagination } = pages.pageOf(request, rows, 5, placeOf)
    expect(shown).toEqual(rows.slice(0, 2))
    const sides = { page: 1, has_prev: false, has_next: true, next_cursor: expect.any(String) }
    expect(pagination).toEqual({ total: 5, total_pages: 3, per_page: 2, ...sides })
  })

  test('the last page, and an empty one, have no cursor', () => {
    for (const few of [rows.slice(0, 2), rows.slice(0, 1), []]) {
      const { shown, pagination } = pages.pageOf({ ...request, page: 7 }, few, undefined, placeOf)
      expect(shown).toEqual(few)
      expect(pagination).toEqual({ page: 7, per_page: 2, has_prev: true, has_next: false, next_cursor: null })
    }
  })

  test('a page by its number passes over those before it, and one behind a cursor has no number', () => {
    expect(pages.rangeOf({ ...request, page: 1 }).offset).toBeUndefined()
    expect(pages.rangeOf({ ...request, page: 4 }).offset).toBe(6)
    expect(pages.rangeOf({ ...request, cursor })).toEqual({ sort: 'name', limit: 3, after: { after_name: 'b' } })
    const { pagination } = pages.pageOf({ ...request, cursor }, rows, undefined, placeOf)
    expect(pagination).toEqual({ per_page: 2, has_prev: true, has_next: true, next_cursor: expect.any(String) })
  })

  test('a cursor from before a new key was put first is still opened, and one under a lost key is not', () => {
    expect(pagesOf(newKey, oldKey).rangeOf({ ...request, cursor }).after).toEqual({ after_name: 'b' })
    expect(() => pagesOf(newKey).rangeOf({ ...request, cursor })).toThrow(ValidationError)
  })

  test('a cursor of another sort, or beside a page, is refused', () => {
    for (const other of [{ sort: '-name' }, { page: 1 }, { cursor: `${cursor}A` }, { cursor: '' }])
      expect(() => pages.rangeOf({ ...request, cursor, ...other })).toThrow(ValidationError)
  })

  test('the longest name that can be stored makes a cursor that can be sent back', () => {
    const letters = Array.from({ length: 0x11_0000 }, (_, code) => String.fromCodePoint(code))
    const sizes = letters.filter((letter) => letter.isWellFormed()).map((letter) => JSON.stringify(fold(letter)))
    const largest = Math.max(...new Set(sizes.map((text) => Buffer.byteLength(text) - 2)))
    const place = { after_name_folded: 'x'.repeat(100 * largest), after_id: Number.MAX_SAFE_INTEGER }
    const { pagination } = pages.pageOf({ ...request, sort: '-name' }, rows, undefined, () => place)
    expect(pagination.next_cursor!.length).toBeLessThanOrEqual(1000)
  })
})
