import { defineEntity, p } from '@mikro-orm/core'
import { time } from './mixins.ts'

/**
 * A change that was made under an `Idempotency-Key`, and the answer to it. No key is stored: `key` is a keyed hash of
 * it, of who sent it and where to, `request_hash` one of what was sent, and `answer` is encrypted under the key itself.
 */
export const IdempotencyKey = defineEntity({
  name: 'IdempotencyKey',
  tableName: 'idempotency_keys',
  properties: {
    key: p.string().length(64).primary(),
    request_hash: p.string().length(64),
    answer: p.text().strictNullable(),
    created_at: time().defaultRaw('now()'),
    expires_at: time(),
  },
  indexes: [{ name: 'idempotency_keys_expires_at', properties: ['expires_at'] }],
})
