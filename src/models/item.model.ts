import { defineEntity, p } from '@mikro-orm/core'
import { itemStatuses } from './enums.ts'
import { primaryKey, publicId, softDelete, timestamps } from './mixins.ts'
import { User } from './user.model.ts'

export const Item = defineEntity({
  name: 'Item',
  tableName: 'items',
  properties: {
    ...primaryKey,
    ...publicId,
    ...timestamps,
    ...softDelete,
    name: p.string().length(100),
    description: p.text().strictNullable(),
    status: p.enum(itemStatuses).default('draft'),
    priority: p.integer().default(1),
    owner_id: () => p.manyToOne(User).joinColumn('owner_id').strictNullable().deleteRule('set null').index(),
  },
  checks: [{ name: 'items_priority_range', expression: 'priority >= 1 and priority <= 5' }],
  // Newest first reads these backwards. They hold live rows alone, so that counting them is cheap too.
  indexes: [
    { name: 'items_newest', properties: ['created_at', 'id'], where: 'deleted_at is null' },
    { name: 'items_newest_by_status', properties: ['status', 'created_at', 'id'], where: 'deleted_at is null' },
  ],
})
