import { sql, type Expression, type SelectQueryBuilder } from 'kysely'
import { fold } from '../core/fold.ts'
import type { Database } from '../db/database.ts'
import { likePattern } from '../db/engine.ts'
import type { Given } from '../db/statements.ts'
import type { ItemSort, ItemStatus } from '../models/enums.ts'
import type { Tables } from '../models/index.ts'
import { itemColumns, itemOwner } from './item.repository.ts'

export interface ItemFilter {
  status?: ItemStatus | undefined
  priority?: number | undefined
  /** A public id. */
  owner?: string | undefined
  created_after?: string | undefined
  created_before?: string | undefined
}

/** A place in an order: what the item there has in the columns of the order. */
export interface ItemPlace {
  after_created_at?: string
  after_priority?: number
  after_name_folded?: string
  after_id?: number
}

/** Which of the items that match: so many of them in an order, behind a position or a number of others. */
export interface ItemRange {
  sort: ItemSort
  limit: number
  after?: ItemPlace | undefined
  offset?: number | undefined
}

/** The columns that an order goes by. The key makes it total. */
const sortColumns = {
  created_at: ['created_at', 'id'],
  priority: ['priority', 'created_at', 'id'],
  name: ['name_folded', 'id'],
} as const

function orderOf(sort: ItemSort) {
  const descending = sort.startsWith('-')
  const columns = sortColumns[(descending ? sort.slice(1) : sort) as keyof typeof sortColumns]
  return { columns, direction: descending ? 'desc' : 'asc' } as const
}

/** The place of an item that was listed. */
export function placeOf(
  item: Record<'id' | 'name_folded' | 'priority' | 'created_at', string | number>,
  sort: ItemSort,
) {
  return Object.fromEntries(orderOf(sort).columns.map((column) => [`after_${column}`, item[column]])) as ItemPlace
}

// How a search goes about it, so that it ends soon in a table of any size:
// - A rare word is found by the index, whole, and then filtered, ordered and counted.
// - A common one would be found too often: the list is read in its order, and compared, until the page is full.
// - One without three letters or digits in a row has no index: the newest items are compared.

/** A word is rare if no more items contain it. */
const rare = 1000
/** So many of the newest items are compared with a word that has no index. */
const reach = 100_000
const hasTrigram = /[\p{L}\p{N}]{3}/u

/** `phrase` is a word for the index, `pattern` one to compare with. */
type Values = ItemFilter & ItemPlace & { offset?: number | undefined; phrase?: string; pattern?: string }
type Choice = Pick<ItemRange, 'sort' | 'limit'>
type Items = SelectQueryBuilder<Tables, 'items', object>

export type ItemListRepository = ReturnType<typeof createItemListRepository>

/** The items as lists: filtered, searched, ordered, counted. Live ones alone. */
export function createItemListRepository({ query, prepare, contains, matches, searchPhrase }: Database) {
  const searched = ['name_folded', 'description_folded'] as const
  const listed = [...itemColumns, 'id', 'name_folded', 'owner_id'] as const

  function matching({ status, priority, owner, created_after, created_before }: Given<ItemFilter>): Items {
    let items: Items = query().selectFrom('items').where('items.deleted_at', 'is', null)
    if (status) items = items.where('status', '=', status)
    if (priority) items = items.where('priority', '=', priority)
    if (owner)
      items = items.where('owner_id', '=', ({ selectFrom }) =>
        selectFrom('users').where('users.public_id', '=', owner).select('users.id'),
      )
    if (created_after) items = items.where('created_at', '>', created_after)
    if (created_before) items = items.where('created_at', '<', created_before)
    return items
  }

  const indexed = (items: Items, phrase: Expression<string>) =>
    items.where(matches({ index: 'items_search', key: 'items.id', columns: searched }, phrase))

  const compared = (items: Items, pattern: Expression<string>) =>
    items.where(({ or, ref }) => or(searched.map((column) => contains(ref(column), pattern))))

  const inOrder = (items: Items, { columns, direction }: ReturnType<typeof orderOf>) =>
    columns.reduce((ordered, column) => ordered.orderBy(column, direction), items)

  /** The part of the items that a range is. */
  function range(items: Items, given: Given<Values>, { sort, limit }: Choice) {
    const order = orderOf(sort)
    let part = inOrder(items, order)
    if (given.after_id) {
      const columns = sql.join(order.columns.map((column) => sql.ref(column)))
      const place = sql.join(order.columns.map((column) => given[`after_${column}`]))
      part = part.where(sql<boolean>`(${columns}) ${sql.raw(order.direction === 'desc' ? '<' : '>')} (${place})`)
    }
    if (given.offset) part = part.offset(given.offset)
    return part
      .limit(sql.lit(limit))
      .select([...itemColumns, 'id', 'name_folded'])
      .select(itemOwner)
  }

  const list = prepare((given: Given<Values>, choice: Choice) => {
    const items = matching(given)
    return range(given.pattern ? compared(items, given.pattern) : items, given, choice)
  })

  const count = prepare((given: Given<Values>) => {
    const items = matching(given)
    return (given.phrase ? indexed(items, given.phrase) : items).select(({ fn }) => fn.countAll<number>().as('total'))
  })

  function newest(items: Items): Items {
    const found = inOrder(items.selectAll(), orderOf('-created_at')).limit(sql.lit(reach))
    return query().selectFrom(found.as('items'))
  }

  /**
   * What contains a word, found before it is ordered: by the index, up to one more than is rare, or among the newest.
   * `materialized` keeps the databases from walking through the whole table in its order instead.
   */
  const find = prepare((given: Given<Values>, choice: Choice) => {
    const items = matching(given)
    const found = given.phrase ? indexed(items, given.phrase) : compared(newest(items), given.pattern!)
    const few = query()
      .with(
        (cte) => cte('found').materialized(),
        () => found.select(listed),
      )
      .with('few', (queries) =>
        queries
          .selectFrom('found')
          .selectAll()
          .limit(sql.lit(given.phrase ? rare + 1 : reach)),
      )
      .selectFrom('few as items') as unknown as Items
    return range(few, given, choice).select(sql<number>`(select count(*) from few)`.as('total'))
  })

  return {
    /** The items that match a filter. */
    list: (filter: ItemFilter, { sort, limit, after, offset }: ItemRange) =>
      list.all({ ...filter, ...after, offset }, { sort, limit }),

    /** How many items match a filter. */
    count: async (filter: ItemFilter): Promise<number> => (await count.one(filter)).total,

    /**
     * The items of which the name or the description contains `part`, in any letter case, and how many there are if
     * that is asked or known anyway. A word without three letters or digits in a row is looked for in the newest
     * items alone.
     */
    async search(part: string, filter: ItemFilter, { sort, limit, after, offset }: ItemRange, withTotal: boolean) {
      const choice = { sort, limit }
      const place = { ...after, offset }
      const folded = fold(part)
      const [phrase, pattern] = [searchPhrase(folded), likePattern(folded)]
      const word = hasTrigram.test(folded) ? { phrase } : { pattern }
      const rows = await find.all({ ...filter, ...word, ...place }, choice)
      // Each row tells how many were found; behind the last one there is none, so the first page is asked.
      const known = rows[0] ?? (after || offset ? await find.first({ ...filter, ...word }, choice) : undefined)
      const total = known?.total ?? 0
      if ('pattern' in word || total <= rare) return { rows, total }
      return {
        rows: await list.all({ ...filter, pattern, ...place }, choice),
        total: withTotal ? (await count.one({ ...filter, phrase })).total : undefined,
      }
    },
  }
}
