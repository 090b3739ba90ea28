import { CompiledQuery } from 'kysely'
import type { Passwords } from '../core/security/passwords.ts'
import { createItemRepository } from '../repositories/item.repository.ts'
import { createUserRepository } from '../repositories/user.repository.ts'
import type { Database } from './database.ts'

export const seededPassword = 'TestPassword123!'

/** For development: known accounts, known password. */
export const seededUsers = [
  { email: 'admin@example.com', first_name: 'Test', last_name: 'Admin', role: 'admin', is_verified: true },
  { email: 'user@example.com', first_name: 'Test', last_name: 'User', role: 'user', is_verified: true },
] as const

const seededItems = [
  { name: 'Read the README', description: 'It says in which order to read the code.', status: 'active', priority: 3 },
  { name: 'Try the API', description: 'Swagger UI is at /api/docs/swagger.', status: 'active', priority: 2 },
  { name: 'Add a resource', description: null, status: 'draft', priority: 1 },
] as const

/** Fills an empty database with two accounts and three items of nobody. Gives false, and changes nothing, if it holds any account. */
export async function seed(database: Database, passwords: Passwords): Promise<boolean> {
  const isEmpty = async () =>
    (await database.query().selectFrom('users').select('id').limit(1).executeTakeFirst()) === undefined
  if (!(await isEmpty())) return false
  const password_hash = await passwords.hash(seededPassword)
  const users = createUserRepository(database)
  const items = createItemRepository(database)
  return database.transaction(async () => {
    // Of servers that start at once one seeds; the others wait here, and then find that it is done.
    await database.query().executeQuery(CompiledQuery.raw(database.engine.migrationLock))
    if (!(await isEmpty())) return false
    for (const user of seededUsers) await users.add({ ...user, password_hash })
    for (const item of seededItems) await items.add(item)
    return true
  })
}

/** Whether the accounts of the seed are in use, as far as the start can tell people. */
export async function hasTestUsers(database: Database): Promise<boolean> {
  const emails = seededUsers.map(({ email }) => email)
  const found = await database
    .query()
    .selectFrom('users')
    .where('email', 'in', emails)
    .where('deleted_at', 'is', null)
    .select('id')
    .execute()
  return found.length === emails.length
}
