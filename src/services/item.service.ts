import type { Actor } from '../core/actor.ts'
import { ForbiddenError, NotFoundError } from '../core/errors.ts'
import type { Pages } from '../core/pagination.ts'
import { can, type Permission } from '../core/security/permissions.ts'
import type { Database } from '../db/database.ts'
import { placeOf, type ItemListRepository, type ItemPlace } from '../repositories/item-list.repository.ts'
import type { ItemRepository } from '../repositories/item.repository.ts'
import type { ItemCreate, ItemFilter, ItemQuery, ItemSearch, ItemUpdate } from '../schemas/item.schema.ts'

/** Items that an export reads at once: of the longest, some megabytes. */
const chunk = 200

export interface ItemDependencies {
  items: ItemRepository
  lists: ItemListRepository
  single: Database['single']
  pages: Pages
}

/** The rules of items: everyone reads, owners and holders of a permission change. */
export function createItemService({ items, lists, single, pages }: ItemDependencies) {
  const notFound = () => new NotFoundError('There is no such item')

  /** Whose an item must be for the actor to change it: with the permission, anybody's. */
  const ownerFor = (actor: Actor, permission: Permission) => (can(actor.role, permission) ? undefined : actor.id)

  const foreign = () => new ForbiddenError('This item belongs to someone else')

  /** Why nothing was changed: another's item, or none. */
  const refusal = async (publicId: string) => ((await items.find(publicId)) ? foreign() : notFound())

  async function get(publicId: string) {
    const item = await items.find(publicId)
    if (!item) throw notFound()
    return item
  }

  async function getOwn(actor: Actor, publicId: string) {
    const item = await get(publicId)
    if (item.owner_id !== actor.public_id && !can(actor.role, 'items:write')) throw foreign()
    return item
  }

  return {
    get,

    /** A page of the items that match, and how many do. @throws ValidationError */
    async list({ page, per_page, cursor, include_total, sort, ...filter }: ItemQuery) {
      const request = { page, per_page, cursor, include_total, sort }
      const range = pages.rangeOf(request)
      const [rows, total] = await Promise.all([
        lists.list(filter, range),
        include_total ? lists.count(filter) : undefined,
      ])
      const { shown, pagination } = pages.pageOf(request, rows, total, placeOf)
      return { items: shown, pagination }
    },

    /** A page of the items that contain `q`; `count` is the number on this page. @throws ValidationError */
    async search({ q, page, per_page, cursor, include_total, sort, ...filter }: ItemSearch) {
      const request = { page, per_page, cursor, include_total, sort }
      const range = pages.rangeOf(request)
      const { rows, total } = await lists.search(q, filter, range, include_total)
      const { shown, pagination } = pages.pageOf(request, rows, include_total ? total : undefined, placeOf)
      return { items: shown, count: shown.length, pagination }
    },

    /** All items that match, oldest first, a chunk at a time; those that come or go meanwhile may be among them or not. */
    async *export(filter: ItemFilter) {
      const sort = 'created_at'
      for (let after: ItemPlace | undefined; ;) {
        const rows = await lists.list(filter, { sort, limit: chunk, after })
        yield rows
        if (rows.length < chunk) return
        after = placeOf(rows.at(-1)!, sort)
      }
    },

    /** Makes an item of the actor's own. */
    create: (actor: Actor, item: ItemCreate) => single(() => items.add({ ...item, owner_id: actor.id })),

    /** Changes the fields given. @throws NotFoundError, ForbiddenError */
    async change(actor: Actor, publicId: string, changes: ItemUpdate) {
      if (Object.keys(changes).length === 0) return getOwn(actor, publicId)
      const changed = await items.change(publicId, changes, ownerFor(actor, 'items:write'))
      if (!changed) throw await refusal(publicId)
      return changed
    },

    /** Removes an item from sight. @throws NotFoundError, ForbiddenError */
    async remove(actor: Actor, publicId: string) {
      const removed = await items.remove(publicId, ownerFor(actor, 'items:delete'))
      if (!removed) throw await refusal(publicId)
    },
  }
}
