/**
 * The enumerated columns. They live apart from the models, so that schemas and services can use
 * them without loading the ORM that only migrations need.
 */
export const itemStatuses = ['draft', 'active', 'archived'] as const
export type ItemStatus = (typeof itemStatuses)[number]

export const roles = ['user', 'moderator', 'admin', 'super_admin'] as const
export type Role = (typeof roles)[number]

export const revokeReasons = [
  'logout',
  'logout_all',
  'password_change',
  'deactivated',
  'refresh_reuse',
  'revoked',
] as const
export type RevokeReason = (typeof revokeReasons)[number]

/** The orders of a list of items: each has its index. A minus means descending. */
export const itemSorts = ['-created_at', 'created_at', '-priority', 'priority', 'name', '-name'] as const
export type ItemSort = (typeof itemSorts)[number]
