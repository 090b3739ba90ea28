import type { ExpressionBuilder, Insertable, Updateable } from 'kysely'
import { fold } from '../core/fold.ts'
import type { Database } from '../db/database.ts'
import type { Given } from '../db/statements.ts'
import type { Tables } from '../models/index.ts'

type NewItem = Pick<Insertable<Tables['items']>, 'name' | 'description' | 'status' | 'priority' | 'owner_id'>
type ItemChanges = Pick<Updateable<Tables['items']>, 'name' | 'description' | 'status' | 'priority'>
/** Which item, of whose, and what of it. */
type Changes = ItemChanges &
  Partial<ReturnType<typeof foldedTexts<ItemChanges>>> & { public_id: string; owner_id?: number | undefined }

/** What clients see of an item. */
export const itemColumns = [
  'public_id',
  'name',
  'description',
  'status',
  'priority',
  'created_at',
  'updated_at',
] as const

/** Clients know the owner by its public id. */
export const itemOwner = (items: ExpressionBuilder<Tables, 'items'>) =>
  items.selectFrom('users').whereRef('users.id', '=', 'items.owner_id').select('users.public_id').as('owner_id')

/** The texts that search compares, for an item that is added or changed. */
export const foldedTexts = <Item extends { name?: string; description?: string | null }>({ name, description }: Item) =>
  ({ name_folded: foldIfText(name), description_folded: foldIfText(description) }) as {
    name_folded: Item['name']
    description_folded: Item['description']
  }

const foldIfText = (text: string | null | undefined) => (typeof text === 'string' ? fold(text) : text)

export type ItemRepository = ReturnType<typeof createItemRepository>

/** The items, one by one: reads see live ones alone, and show the owner by its public id. */
export function createItemRepository({ query, prepare, clock }: Database) {
  const changing = ({ public_id }: Given<{ public_id: string }>) =>
    query().updateTable('items').where('public_id', '=', public_id)

  const find = prepare((given: Given<{ public_id: string }>) =>
    query()
      .selectFrom('items')
      .where('items.deleted_at', 'is', null)
      .where('public_id', '=', given.public_id)
      .select(itemColumns)
      .select(itemOwner),
  )

  const add = prepare((item: Given<NewItem & ReturnType<typeof foldedTexts<NewItem>>>) =>
    query().insertInto('items').values(item).returning(itemColumns).returning(itemOwner),
  )

  const change = prepare(({ public_id, owner_id, ...changes }: Given<Changes>) =>
    changing({ public_id })
      .set({ ...changes, updated_at: clock() })
      .where('deleted_at', 'is', null)
      .$if(owner_id !== undefined, (item) => item.where('owner_id', '=', owner_id!))
      .returning(itemColumns)
      .returning(itemOwner),
  )

  const remove = prepare(({ public_id, owner_id }: Given<Pick<Changes, 'public_id' | 'owner_id'>>) =>
    changing({ public_id })
      .set({ deleted_at: clock() })
      .where('deleted_at', 'is', null)
      .$if(owner_id !== undefined, (item) => item.where('owner_id', '=', owner_id!))
      .returning('id'),
  )

  const restore = prepare((given: Given<{ public_id: string }>) =>
    changing(given).set({ deleted_at: null, updated_at: clock() }).where('deleted_at', 'is not', null).returning('id'),
  )

  return {
    /** Gives undefined when there is no such item, or no longer. */
    find: (public_id: string) => find.first({ public_id }),

    /** Adds an item; what is not given is as the table says. */
    add: (item: NewItem) => add.one({ ...item, ...foldedTexts(item) }),

    /**
     * Changes an item, in one statement with the question whether it may: of an owner's own, where one is given.
     * Gives undefined when there is none such, or no longer.
     */
    change: (public_id: string, changes: ItemChanges, owner_id?: number) =>
      change.first({ ...changes, ...foldedTexts(changes), public_id, owner_id }),

    /** Of many calls at once, exactly one gives true. */
    remove: async (public_id: string, owner_id?: number): Promise<boolean> =>
      (await remove.first({ public_id, owner_id })) !== undefined,

    /** Brings a removed item back. Gives false when it was not removed. */
    restore: async (public_id: string): Promise<boolean> => (await restore.first({ public_id })) !== undefined,
  }
}
