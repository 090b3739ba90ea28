import { defineEntity, p } from '@mikro-orm/core'
import { primaryKey, time, timestamps } from './mixins.ts'

/**
 * Attempts under one key: a hash of what is counted, such as an account and an address. `until` is when the
 * next attempt may be made, or when the count begins anew; `refusals` counts those that came too early.
 */
export const Throttle = defineEntity({
  name: 'Throttle',
  tableName: 'throttles',
  properties: {
    ...primaryKey,
    ...timestamps,
    key: p.string().length(64).unique(),
    attempts: p.integer().default(1),
    refusals: p.integer().default(0),
    until: time(),
  },
  indexes: [{ name: 'throttles_updated_at', properties: ['updated_at'] }],
})
