import type { ExpressionBuilder, Insertable, Updateable } from 'kysely'
import { offsetOf, type PageRequest } from '../core/pagination.ts'
import type { Database } from '../db/database.ts'
import type { ItemStatus } from '../models/enums.ts'
import type { Tables } from '../models/index.ts'

type NewItem = Pick<Insertable<Tables['items']>, 'name' | 'description' | 'status' | 'priority' | 'owner_id'>
type ItemChanges = Pick<Updateable<Tables['items']>, 'name' | 'description' | 'status' | 'priority'>
interface ItemFilter {
  status?: ItemStatus | undefined
  /** Part of the name or the description. */
  contains?: string
}

export type ItemRepository = ReturnType<typeof createItemRepository>

/** The items: reads see live ones alone, and show the owner by its public id. */
export function createItemRepository({ query, clock, contains }: Database) {
  const columns = ['public_id', 'name', 'description', 'status', 'priority', 'created_at', 'updated_at'] as const

  const live = () => query().selectFrom('items').where('items.deleted_at', 'is', null)

  /** Clients know the owner by its public id. */
  const ownerId = (items: ExpressionBuilder<Tables, 'items'>) =>
    items.selectFrom('users').whereRef('users.id', '=', 'items.owner_id').select('users.public_id').as('owner_id')

  function matching({ status, contains: part }: ItemFilter) {
    let items = live()
    if (status !== undefined) items = items.where('status', '=', status)
    if (part === undefined) return items
    return items.where(({ or, ref }) => or([contains(ref('name'), part), contains(ref('description'), part)]))
  }

  return {
    /** Gives undefined when there is no such item, or no longer. */
    find: (publicId: string) =>
      live().where('public_id', '=', publicId).select(columns).select(ownerId).executeTakeFirst(),

    /** A page of the items that match, newest first. */
    list: (filter: ItemFilter, page: PageRequest) =>
      matching(filter)
        .select(columns)
        .select(ownerId)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(page.per_page)
        .offset(offsetOf(page))
        .execute(),

    /** How many items match. */
    async count(filter: ItemFilter): Promise<number> {
      const { total } = await matching(filter)
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow()
      return total
    },

    /** Adds an item; what is not given is as the table says. */
    add: (item: NewItem) =>
      query().insertInto('items').values(item).returning(columns).returning(ownerId).executeTakeFirstOrThrow(),

    /** Gives undefined when there is no such item, or no longer. */
    change: (publicId: string, changes: ItemChanges) =>
      query()
        .updateTable('items')
        .set({ ...changes, updated_at: clock() })
        .where('public_id', '=', publicId)
        .where('deleted_at', 'is', null)
        .returning(columns)
        .returning(ownerId)
        .executeTakeFirst(),

    /** Of many calls at once, exactly one gives true. */
    async remove(publicId: string): Promise<boolean> {
      const removed = await query()
        .updateTable('items')
        .set({ deleted_at: clock() })
        .where('public_id', '=', publicId)
        .where('deleted_at', 'is', null)
        .returning('id')
        .executeTakeFirst()
      return removed !== undefined
    },

    /** Brings a removed item back. Gives false when it was not removed. */
    async restore(publicId: string): Promise<boolean> {
      const restored = await query()
        .updateTable('items')
        .set({ deleted_at: null, updated_at: clock() })
        .where('public_id', '=', publicId)
        .where('deleted_at', 'is not', null)
        .returning('id')
        .executeTakeFirst()
      return restored !== undefined
    },
  }
}
