import type { ExpressionBuilder, Insertable, Updateable } from 'kysely'
import { fold } from '../core/fold.ts'
import type { Database } from '../db/database.ts'
import type { Given } from '../db/statements.ts'
import type { Tables } from '../models/index.ts'

type NewItem = Pick<Insertable<Tables['items']>, 'name' | 'description' | 'status' | 'priority' | 'owner_id'>
type ItemChanges = Pick<Updateable<Tables['items']>, 'name' | 'description' | 'status' | 'priority'>
/** What must hold for an item to be changed, where it is given. */
interface Condition {
  owner_id?: number | undefined
  version?: number | undefined
}
type Which = Condition & { public_id: string }
type Changes = Which & ItemChanges & Partial<ReturnType<typeof foldedTexts<ItemChanges>>>

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
  /** What clients see of one item. */
  const shown = [...itemColumns, 'version'] as const

  /** Every change makes a new version. */
  const changing = ({ public_id, owner_id, version }: Given<Which>) =>
    query()
      .updateTable('items')
      .set(({ eb }) => ({ version: eb('version', '+', 1) }))
      .where('public_id', '=', public_id)
      .$if(owner_id !== undefined, (item) => item.where('owner_id', '=', owner_id!))
      .$if(version !== undefined, (item) => item.where('version', '=', version!))

  const find = prepare((given: Given<{ public_id: string }>) =>
    query()
      .selectFrom('items')
      .where('items.deleted_at', 'is', null)
      .where('public_id', '=', given.public_id)
      .select(shown)
      .select(itemOwner),
  )

  const add = prepare((item: Given<NewItem & ReturnType<typeof foldedTexts<NewItem>>>) =>
    query().insertInto('items').values(item).returning(shown).returning(itemOwner),
  )

  const change = prepare(({ public_id, owner_id, version, ...changes }: Given<Changes>) =>
    changing({ public_id, owner_id, version })
      .set({ ...changes, updated_at: clock() })
      .where('deleted_at', 'is', null)
      .returning(shown)
      .returning(itemOwner),
  )

  const remove = prepare((which: Given<Which>) =>
    changing(which).set({ deleted_at: clock() }).where('deleted_at', 'is', null).returning('id'),
  )

  const restore = prepare((which: Given<Which>) =>
    changing(which).set({ deleted_at: null, updated_at: clock() }).where('deleted_at', 'is not', null).returning('id'),
  )

  return {
    /** Gives undefined when there is no such item, or no longer. */
    find: (public_id: string) => find.first({ public_id }),

    /** Adds an item; what is not given is as the table says. */
    add: (item: NewItem) => add.one({ ...item, ...foldedTexts(item) }),

    /**
     * Changes an item, in one statement with the question whether it may. Gives undefined when there is none such, or
     * no longer.
     */
    change: (public_id: string, changes: ItemChanges, condition?: Condition) =>
      change.first({ ...changes, ...foldedTexts(changes), public_id, ...condition }),

    /** Of many calls at once, exactly one gives true. */
    remove: async (public_id: string, condition?: Condition): Promise<boolean> =>
      (await remove.first({ public_id, ...condition })) !== undefined,

    /** Brings a removed item back. Gives false when it was not removed. */
    restore: async (public_id: string): Promise<boolean> => (await restore.first({ public_id })) !== undefined,
  }
}
