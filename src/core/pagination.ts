import { z } from 'zod'
import { ValidationError } from './errors.ts'
import type { Encryption } from './security/encryption.ts'

/** What a client asks for: a page by its number, or the one behind a cursor, in an order. */
export interface PageRequest<Sort extends string = string> {
  page?: number | undefined
  per_page: number
  cursor?: string | undefined
  include_total: boolean
  sort: Sort
}

/** Rows to pass over before a page begins. */
export const offsetOf = ({ page, per_page }: { page: number; per_page: number }): number => (page - 1) * per_page

/** What a client needs to turn pages by their numbers. */
export function paginate({ page, per_page }: { page: number; per_page: number }, total: number) {
  const total_pages = Math.ceil(total / per_page)
  return { total, page, per_page, total_pages, has_next: page < total_pages, has_prev: page > 1 }
}

const sealed = z.tuple([z.string(), z.record(z.string(), z.unknown())])

/**
 * Pages of lists that may be long. Behind each page stands a cursor: the place in the order where the page ended,
 * sealed, so that a client can neither read the keys in it nor make one of its own. The page behind it is found
 * as quickly as the first, and none is shown twice or left out while rows come and go.
 */
export function createPages({ encrypt, decrypt }: Encryption) {
  function open(cursor: string, sort: string) {
    const [of, place] = read(cursor)
    if (of !== sort) throw fault('belongs to another sort')
    return place
  }

  function read(cursor: string) {
    try {
      return sealed.parse(JSON.parse(decrypt(cursor)))
    } catch {
      throw fault('is not the next_cursor of a page')
    }
  }

  return {
    /** Which rows to read: one more than are shown tells whether there is a next page. @throws ValidationError */
    rangeOf<Sort extends string>({ page, per_page, cursor, sort }: PageRequest<Sort>) {
      if (page !== undefined && cursor !== undefined) throw fault('cannot be given together with page')
      return {
        sort,
        limit: per_page + 1,
        offset: page === undefined || page === 1 ? undefined : offsetOf({ page, per_page }),
        /** What `placeOf` gave. */
        after: cursor === undefined ? undefined : open(cursor, sort),
      }
    },

    /** What of the rows read is shown, and how a client goes on. `placeOf` gives the place of a row in the order. */
    pageOf<Row, Sort extends string>(
      { page = 1, per_page, cursor, sort }: PageRequest<Sort>,
      rows: Row[],
      total: number | undefined,
      placeOf: (row: Row, sort: Sort) => object,
    ) {
      const shown = rows.slice(0, per_page)
      const has_next = rows.length > per_page
      const next_cursor = has_next ? encrypt(JSON.stringify([sort, placeOf(shown.at(-1)!, sort)])) : null
      const counted = total === undefined ? {} : { total, total_pages: Math.ceil(total / per_page) }
      const numbered = cursor === undefined ? { page, has_prev: page > 1 } : { has_prev: true }
      return { shown, pagination: { ...counted, ...numbered, per_page, has_next, next_cursor } }
    },
  }
}

export type Pages = ReturnType<typeof createPages>

const fault = (message: string) => new ValidationError([{ field: 'cursor', message }])
