import type { Actor } from '../core/actor.ts'
import { ForbiddenError, NotFoundError } from '../core/errors.ts'
import { paginate } from '../core/pagination.ts'
import { can, type Permission } from '../core/security/permissions.ts'
import type { ItemRepository } from '../repositories/item.repository.ts'
import type { ItemCreate, ItemQuery, ItemSearch, ItemUpdate } from '../schemas/item.schema.ts'

/** The rules of items: everyone reads, owners and holders of a permission change. */
export function createItemService({ items }: { items: ItemRepository }) {
  const notFound = () => new NotFoundError('There is no such item')

  /** The owner may do anything with an item; others need the permission. */
  async function findFor(actor: Actor, publicId: string, permission: Permission) {
    const item = await items.find(publicId)
    if (!item) throw notFound()
    if (item.owner_id !== actor.public_id && !can(actor.role, permission))
      throw new ForbiddenError('This item belongs to someone else')
    return item
  }

  return {
    /** A page of items, newest first, and how many there are. */
    async list({ status, ...page }: ItemQuery) {
      const [rows, total] = await Promise.all([items.list({ status }, page), items.count({ status })])
      return { items: rows, pagination: paginate(page, total) }
    },

    /** A page of the items that contain `q`; `count` is the number on this page. */
    async search({ q, ...page }: ItemSearch) {
      const filter = { contains: q }
      const [rows, total] = await Promise.all([items.list(filter, page), items.count(filter)])
      return { items: rows, count: rows.length, pagination: paginate(page, total) }
    },

    /** @throws NotFoundError */
    async get(publicId: string) {
      const item = await items.find(publicId)
      if (!item) throw notFound()
      return item
    },

    /** Makes an item of the actor's own. */
    create: (actor: Actor, item: ItemCreate) => items.add({ ...item, owner_id: actor.id }),

    /** Changes the fields given. @throws NotFoundError, ForbiddenError */
    async change(actor: Actor, publicId: string, changes: ItemUpdate) {
      const item = await findFor(actor, publicId, 'items:write')
      if (Object.keys(changes).length === 0) return item
      // It may have been deleted since it was read: the statement itself decides.
      const changed = await items.change(publicId, changes)
      if (!changed) throw notFound()
      return changed
    },

    /** Removes an item from sight. @throws NotFoundError, ForbiddenError */
    async remove(actor: Actor, publicId: string) {
      await findFor(actor, publicId, 'items:delete')
      if (!(await items.remove(publicId))) throw notFound()
    },
  }
}
