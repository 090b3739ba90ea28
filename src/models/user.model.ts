import { defineEntity, p } from '@mikro-orm/core'
import { roles } from './enums.ts'
import { encrypted, primaryKey, publicId, softDelete, time, timestamps, versioned } from './mixins.ts'

export const User = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    ...primaryKey,
    ...publicId,
    ...timestamps,
    ...versioned,
    ...softDelete,
    email: p.string().length(254),
    password_hash: p.string().length(255),
    first_name: p.string().length(100),
    last_name: p.string().length(100),
    role: p.enum(roles).default('user'),
    is_active: p.boolean().default(true),
    is_verified: p.boolean().default(false),
    password_changed_at: time().defaultRaw('now()'),
    last_login: time().strictNullable(),
    last_login_ip: encrypted().strictNullable(),
  },
  checks: [{ name: 'users_email_lower_case', expression: 'email = lower(email)' }],
  uniques: [{ name: 'users_email_unique', properties: ['email'], where: 'deleted_at is null' }],
})
