export interface PageRequest {
  page: number
  per_page: number
}

/** Rows to pass over before a page begins. */
export const offsetOf = ({ page, per_page }: PageRequest): number => (page - 1) * per_page

/** What a client needs to turn pages. */
export function paginate({ page, per_page }: PageRequest, total: number) {
  const total_pages = Math.ceil(total / per_page)
  return { total, page, per_page, total_pages, has_next: page < total_pages, has_prev: page > 1 }
}
