import { defineEntity, p } from '@mikro-orm/core'
import { itemStatuses } from './enums.ts'
import { folded, primaryKey, publicId, softDelete, timestamps, versioned } from './mixins.ts'
import { User } from './user.model.ts'

const where = 'deleted_at is null'

export const Item = defineEntity({
  name: 'Item',
  tableName: 'items',
  properties: {
    ...primaryKey,
    ...publicId,
    ...timestamps,
    ...versioned,
    ...softDelete,
    name: p.string().length(100),
    description: p.text().strictNullable(),
    name_folded: folded(),
    description_folded: folded().strictNullable(),
    status: p.enum(itemStatuses).default('draft'),
    priority: p.integer().default(1),
    owner_id: () => p.manyToOne(User).joinColumn('owner_id').strictNullable().deleteRule('set null').index(false),
  },
  checks: [{ name: 'items_priority_range', expression: 'priority >= 1 and priority <= 5' }],
  // One for each order and each filter of a list, read forwards or backwards. They hold live rows alone, but for the
  // owners', by which the database finds the items of one who is deleted. Those that rows are counted by end with
  // `deleted_at`: without it SQLite looks up each row to see that it is live.
  indexes: [
    { name: 'items_newest', properties: ['created_at', 'id', 'deleted_at'], where },
    { name: 'items_by_status', properties: ['status', 'created_at', 'id', 'deleted_at'], where },
    { name: 'items_by_priority', properties: ['priority', 'created_at', 'id', 'deleted_at'], where },
    { name: 'items_by_name', properties: ['name_folded', 'id'], where },
    { name: 'items_by_owner', properties: ['owner_id', 'created_at', 'id', 'deleted_at'] },
    { name: 'items_search', properties: ['name_folded', 'description_folded'], type: 'trigram', where },
  ],
})
