import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseQuery } from '../../src/core/http/requests.ts'
import { offsetOf, paginate } from '../../src/core/pagination.ts'
import { can, type Permission } from '../../src/core/security/permissions.ts'
import { roles } from '../../src/models/enums.ts'
import { anyString, wellFormed } from './arbitraries.ts'

describe('a query', () => {
  const name = fc.oneof(
    fc.constantFrom('q', 'page', 'page[]', '__proto__', 'constructor', 'toString', 'hasOwnProperty', ''),
    fc.string({ unit: 'grapheme' }),
  )
  const pairs = fc.array(fc.tuple(name, wellFormed), { maxLength: 8 })

  test('is read as it was written, and names that come twice become lists', () => {
    fc.assert(
      fc.property(pairs, (written) => {
        const expected = Map.groupBy(written, ([key]) => key)
        const read = parseQuery(new URLSearchParams(written).toString())
        expect(new Set(Object.keys(read))).toEqual(new Set(expected.keys()))
        for (const [key, values] of expected)
          expect(read[key]).toEqual(values.length === 1 ? values[0]![1] : values.map(([, value]) => value))
      }),
    )
  })

  test('never throws, whatever it holds, and only makes texts and lists of them (ASVS 15.3.6)', () => {
    const pieces = fc
      .array(
        fc.constantFrom(...'&=+%[]', '%00', '%FF', '%ED%A0%80', '%E2%82', '%5B%5D', '__proto__', 'q', '🦊', '\ud800'),
      )
      .map((parts) => parts.join(''))
    const before = Object.getOwnPropertyNames(Object.prototype)
    fc.assert(
      fc.property(fc.oneof(anyString, pieces), (query) => {
        const read = parseQuery(query)
        expect(Object.getPrototypeOf(read)).toBeNull()
        for (const value of Object.values(read).flat()) expect(value).toBeTypeOf('string')
        for (const list of Object.values(read).filter((value) => Array.isArray(value)))
          expect(list.length).toBeGreaterThan(1)
      }),
      { numRuns: 300 },
    )
    expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(before)
  })

  test('gives a parameter for each pair, and no value that is not its own', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab=&') }), (query) => {
        const given = query.split('&').filter((pair) => pair !== '')
        expect(Object.values(parseQuery(query)).flat()).toHaveLength(given.length)
      }),
    )
  })
})

describe('pages', () => {
  const perPage = fc.integer({ min: 1, max: 100 })
  const rows = fc.nat(500).map((total) => Array.from({ length: total }, (_, index) => index))

  test('hold every row once, in order, and none of them is empty', () => {
    fc.assert(
      fc.property(rows, perPage, (all, per_page) => {
        const { total_pages } = paginate({ page: 1, per_page }, all.length)
        const pages = Array.from({ length: total_pages }, (_, index) => {
          const offset = offsetOf({ page: index + 1, per_page })
          return all.slice(offset, offset + per_page)
        })
        expect(pages.flat()).toEqual(all)
        expect(pages.filter((page) => page.length === 0)).toEqual([])
      }),
    )
  })

  test('tell whether rows come before and after them', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: -2, max: 2 }), perPage, (all, beside, per_page) => {
        const page = Math.max(1, Math.ceil(all.length / per_page) + beside)
        const offset = offsetOf({ page, per_page })
        const told = paginate({ page, per_page }, all.length)
        expect(told).toMatchObject({ total: all.length, page, per_page, has_prev: offset > 0 })
        expect(told.has_next).toBe(all.slice(offset + per_page).length > 0)
        // A page that holds rows is one of them; one beyond the last holds none.
        expect(page <= told.total_pages).toBe(all.slice(offset, offset + per_page).length > 0)
      }),
    )
  })

  test('are found exactly at the largest numbers that a client may send', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_147_483_647 }), perPage, (page, per_page) => {
        const offset = offsetOf({ page, per_page })
        expect(Number.isSafeInteger(offset)).toBe(true)
        expect(BigInt(offset)).toBe((BigInt(page) - 1n) * BigInt(per_page))
        expect(offsetOf({ page: page + 1, per_page }) - offset).toBe(per_page)
      }),
    )
  })
})

describe('a permission (ASVS 8.2.1)', () => {
  const known = ['items', 'users'].flatMap((area) => ['read', 'write', 'delete'].map((act) => `${area}:${act}`))
  const permissions = [...known, 'admin:access', 'admin:manage']
  const permission = fc.oneof(
    fc.constantFrom(...permissions),
    fc.string(),
    fc.constantFrom('items', 'items:', 'Items:read', 'items:read ', '*', 'constructor', '__proto__', 'length', '0'),
  ) as fc.Arbitrary<Permission>
  const role = fc.constantFrom(...roles)

  test('of a lesser role is one of every greater, and super_admin has them all', () => {
    fc.assert(
      fc.property(permission, fc.nat(roles.length - 1), fc.nat(roles.length - 1), (asked, one, other) => {
        const [lesser, greater] = [roles[Math.min(one, other)]!, roles[Math.max(one, other)]!]
        expect(can(greater, asked) || !can(lesser, asked)).toBe(true)
        expect(can('super_admin', asked)).toBe(true)
      }),
    )
  })

  test('is one of the table, to the letter, for every other role', () => {
    fc.assert(
      fc.property(permission, role, (asked, by) => {
        expect(by === 'super_admin' || !can(by, asked) || permissions.includes(asked)).toBe(true)
      }),
    )
  })
})
