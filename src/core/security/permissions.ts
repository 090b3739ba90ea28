import type { Role } from '../../models/enums.ts'

export type Permission =
  | 'items:read'
  | 'items:write'
  | 'items:delete'
  | 'users:read'
  | 'users:write'
  | 'users:delete'
  | 'admin:access'
  | 'admin:manage'

/** What each role may do beyond its own things. The one place that says so. */
const granted: Record<Exclude<Role, 'super_admin'>, readonly Permission[]> = {
  user: ['items:read'],
  moderator: ['items:read', 'items:write', 'items:delete', 'users:read'],
  admin: ['items:read', 'items:write', 'items:delete', 'users:read', 'users:write', 'users:delete', 'admin:access'],
}

/** Whether a role carries a permission; `super_admin` carries all. */
export const can = (role: Role, permission: Permission): boolean =>
  role === 'super_admin' || granted[role].includes(permission)
