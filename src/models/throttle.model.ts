import { defineEntity, p } from '@mikro-orm/core'
import { time, timestamps } from './mixins.ts'

/**
 * Attempts under one key: a keyed hash of what is counted, such as an account and an address. `until` is when
 * the next attempt may be made, or when the count begins anew. It has no other key: PostgreSQL draws a number
 * for each `insert … on conflict`, whether it inserts or not.
 */
export const Throttle = defineEntity({
  name: 'Throttle',
  tableName: 'throttles',
  properties: {
    ...timestamps,
    key: p.string().length(64).primary(),
    attempts: p.integer().default(1),
    until: time(),
  },
  indexes: [{ name: 'throttles_updated_at', properties: ['updated_at'] }],
})
