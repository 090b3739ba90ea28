import { expect, test } from 'vitest'
import { offsetOf, paginate } from '../../src/core/pagination.ts'

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
