import { expect, test } from 'vitest'
import { can, type Permission } from '../../src/core/security/permissions.ts'
import { roles } from '../../src/models/enums.ts'

const everything: Permission[] = [
  'items:read',
  'items:write',
  'items:delete',
  'users:read',
  'users:write',
  'users:delete',
  'admin:access',
  'admin:manage',
]

const permissionsOf = Object.fromEntries(
  roles.map((role) => [role, everything.filter((permission) => can(role, permission))]),
)

test('each role carries its permissions and no others', () => {
  expect(permissionsOf).toEqual({
    user: ['items:read'],
    moderator: ['items:read', 'items:write', 'items:delete', 'users:read'],
    admin: everything.filter((permission) => permission !== 'admin:manage'),
    super_admin: everything,
  })
})

test('a higher role loses nothing that a lower one has', () => {
  for (const [index, role] of roles.slice(1).entries())
    expect(permissionsOf[role]).toEqual(expect.arrayContaining(permissionsOf[roles[index]!]!))
})

test('super_admin passes a check for a permission that is yet to be invented', () => {
  expect(can('super_admin', 'reports:print' as Permission)).toBe(true)
  expect(can('admin', 'reports:print' as Permission)).toBe(false)
})
