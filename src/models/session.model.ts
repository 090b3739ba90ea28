import { defineEntity, p } from '@mikro-orm/core'
import { revokeReasons } from './enums.ts'
import { encrypted, primaryKey, publicId, time, timestamps } from './mixins.ts'
import { User } from './user.model.ts'

/**
 * One sign-in: one row for a whole family of refresh tokens. No token is stored. `gen` counts the
 * rotations, `confirmed_gen` is the newest generation known to have reached its owner.
 */
export const Session = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    ...primaryKey,
    ...publicId,
    ...timestamps,
    user_id: () => p.manyToOne(User).joinColumn('user_id').deleteRule('cascade').index(),
    gen: p.integer().default(0),
    confirmed_gen: p.integer().default(0),
    rotation_id: p.uuid().strictNullable(),
    rotated_at: time().defaultRaw('now()'),
    expires_at: time(),
    idle_expires_at: time(),
    revoked_at: time().strictNullable(),
    revoke_reason: p.enum(revokeReasons).strictNullable(),
    ip: encrypted().strictNullable(),
    user_agent: p.string().length(400).strictNullable(),
  },
  // By these the purge finds what has ended.
  indexes: [
    { name: 'sessions_revoked_at', properties: ['revoked_at'], where: 'revoked_at is not null' },
    { name: 'sessions_expires_at', properties: ['expires_at'] },
    { name: 'sessions_idle_expires_at', properties: ['idle_expires_at'] },
  ],
  checks: [
    { name: 'sessions_gen_range', expression: 'gen >= 0 and confirmed_gen >= 0 and confirmed_gen <= gen' },
    { name: 'sessions_revoked_with_reason', expression: '(revoked_at is null) = (revoke_reason is null)' },
  ],
})
