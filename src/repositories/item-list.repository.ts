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
// - A common one would be found too often: the list is read in its order, and compared, until the page is full. Where
//   the word is not common in that part of the list, the index is asked for all after all.
// - One without three letters or digits in a row has no index: the newest items are compared.

/** A word is rare if no more items contain it. */
const rare = 1000
/** So many items of a list are compared with a common word. */
const near = 20_000
/** So many of the newest items are compared with a word that has no index. */
const reach = 10_000
const hasTrigram = /[\p{L}\p{N}]{3}/u

/** `phrase` is a word for the index, `pattern` one to compare with. */
type Values = ItemFilter & ItemPlace & { offset?: number | undefined; phrase?: string; pattern?: string }
type Choice = Pick<ItemRange, 'sort' | 'limit'>
type Items = SelectQueryBuilder<Tables, 'items', object>

export type ItemListRepository = ReturnType<typeof createItemListRepository>

/** The items as lists: filtered, searched, ordered, counted. Live ones alone. */
export function createItemListRepository({ query, prepare, contains, search }: Database) {
  const searched = ['name_folded', 'description_folded'] as const
  const listed = [...itemColumns, 'id', 'name_folded', 'owner_id'] as const

  const items = () => query().selectFrom('items') as Items
  const among = (some: Items) => query().selectFrom(some.selectAll().as('items')) as Items

  /** Every item that contains a word that the index knows. */
  const indexed = (phrase: Expression<string>) =>
    query().selectFrom(
      search.find({ index: 'items_search', table: 'items', columns: searched }, phrase).as('items'),
    ) as Items

  const compared = (some: Items, pattern: Expression<string>) =>
    some.where(({ or, ref }) => or(searched.map((column) => contains(ref(column), pattern))))

  function matching(some: Items, { status, priority, owner, created_after, created_before }: Given<ItemFilter>): Items {
    let matched = some.where('items.deleted_at', 'is', null)
    if (status) matched = matched.where('status', '=', status)
    if (priority) matched = matched.where('priority', '=', priority)
    if (owner)
      matched = matched.where('owner_id', '=', ({ selectFrom }) =>
        selectFrom('users').where('users.public_id', '=', owner).select('users.id'),
      )
    if (created_after) matched = matched.where('created_at', '>', created_after)
    if (created_before) matched = matched.where('created_at', '<', created_before)
    return matched
  }

  /** Items in an order, behind a place in it if one is given. */
  function inOrder(some: Items, sort: ItemSort, given: Given<ItemPlace> = {}): Items {
    const order = orderOf(sort)
    const ordered = order.columns.reduce((part, column) => part.orderBy(column, order.direction), some)
    if (!given.after_id) return ordered
    const columns = sql.join(order.columns.map((column) => sql.ref(column)))
    const place = sql.join(order.columns.map((column) => given[`after_${column}`]))
    return ordered.where(sql<boolean>`(${columns}) ${sql.raw(order.direction === 'desc' ? '<' : '>')} (${place})`)
  }

  /** The part of the items that a range is. */
  function range(some: Items, given: Given<Values>, { sort, limit }: Choice) {
    const part = inOrder(some, sort, given)
    return (given.offset ? part.offset(given.offset) : part)
      .limit(sql.lit(limit))
      .select([...itemColumns, 'id', 'name_folded'])
      .select(itemOwner)
  }

  const list = prepare((given: Given<Values>, choice: Choice) => range(matching(items(), given), given, choice))

  const count = prepare((given: Given<Values>) =>
    matching(given.phrase ? indexed(given.phrase) : items(), given).select(({ fn }) =>
      fn.countAll<number>().as('total'),
    ),
  )

  /** What contains a word, by the index up to one more than is rare, or among the newest; and how many that are. */
  const findRare = prepare((given: Given<Values>, choice: Choice) => {
    const found = given.phrase
      ? matching(indexed(given.phrase), given)
      : compared(among(inOrder(matching(items(), given), '-created_at').limit(sql.lit(reach))), given.pattern!)
    const few = query()
      .with('few', () => search.some(found.select(listed), given.phrase ? rare + 1 : reach))
      .selectFrom('few as items') as unknown as Items
    return range(few, given, choice).select(sql<number>`(select count(*) from few)`.as('total'))
  })

  const findNear = prepare((given: Given<Values>, choice: Choice) => {
    const part = inOrder(matching(items(), given), choice.sort, given).limit(sql.lit(near))
    return range(compared(among(part), given.pattern!), given, choice)
  })

  const findAll = prepare((given: Given<Values>, choice: Choice) =>
    range(matching(indexed(given.phrase!), given), given, choice),
  )

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
      const [phrase, pattern] = [search.phrase(folded), likePattern(folded)]
      const word = hasTrigram.test(folded) ? { phrase } : { pattern }
      const rows = await findRare.all({ ...filter, ...word, ...place }, choice)
      // Each row tells how many were found; behind the last one there is none, so the first page is asked.
      const known = rows[0] ?? (after || offset ? await findRare.first({ ...filter, ...word }, choice) : undefined)
      const found = known?.total ?? 0
      if ('pattern' in word || found <= rare) return { rows, total: found }

      const nearby = await findNear.all({ ...filter, pattern, ...place }, choice)
      return {
        rows: nearby.length === limit ? nearby : await findAll.all({ ...filter, phrase, ...place }, choice),
        total: withTotal ? (await count.one({ ...filter, phrase })).total : undefined,
      }
    },
  }
}
