import type { Actor } from '../core/actor.ts'
import { ForbiddenError, NotFoundError, PreconditionFailedError } from '../core/errors.ts'
import type { Pages } from '../core/pagination.ts'
import { can, type Permission } from '../core/security/permissions.ts'
import { expectedVersion, requireVersion, type Expected } from '../core/versions.ts'
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

  async function get(publicId: string) {
    const item = await items.find(publicId)
    if (!item) throw notFound()
    return item
  }

  /** An item that the actor may change. @throws NotFoundError, ForbiddenError */
  async function getOwn(actor: Actor, publicId: string, permission: Permission) {
    const item = await get(publicId)
    if (item.owner_id === actor.public_id || can(actor.role, permission)) return item
    throw new ForbiddenError('This item belongs to someone else')
  }

  /** What must hold for the actor to change an item. */
  async function conditionFor(actor: Actor, publicId: string, permission: Permission, expected: Expected) {
    // With the permission, anybody's.
    const owner_id = can(actor.role, permission) ? undefined : actor.id
    return { owner_id, version: await expectedVersion(expected, () => items.find(publicId)) }
  }

  /** Says why nothing was changed: there is no such item, it is another's, or it is in another version. */
  async function refuse(actor: Actor, publicId: string, permission: Permission): Promise<never> {
    await getOwn(actor, publicId, permission)
    throw new PreconditionFailedError()
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

    /** Changes the fields given. @throws NotFoundError, ForbiddenError, PreconditionFailedError */
    async change(actor: Actor, publicId: string, changes: ItemUpdate, expected?: Expected) {
      if (Object.keys(changes).length === 0) {
        const item = await getOwn(actor, publicId, 'items:write')
        requireVersion(item, expected)
        return item
      }
      const condition = await conditionFor(actor, publicId, 'items:write', expected)
      return (await items.change(publicId, changes, condition)) ?? refuse(actor, publicId, 'items:write')
    },

    /** Removes an item from sight. @throws NotFoundError, ForbiddenError, PreconditionFailedError */
    async remove(actor: Actor, publicId: string, expected?: Expected) {
      const condition = await conditionFor(actor, publicId, 'items:delete', expected)
      if (!(await items.remove(publicId, condition))) await refuse(actor, publicId, 'items:delete')
    },
  }
}
