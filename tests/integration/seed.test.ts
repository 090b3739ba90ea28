import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { seed, seededPassword, seededUsers } from '../../src/db/seed.ts'
import { useApi } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const passwords = createPasswords(settings())

const contentOf = async (database: Database) => {
  const users = await database.query().selectFrom('users').selectAll().orderBy('id').execute()
  const items = await database.query().selectFrom('items').selectAll().orderBy('id').execute()
  return { users, items }
}

onEachDatabase((kind) => {
  const api = useApi(kind)

  test('an empty database gets two accounts that can sign in, and three items of nobody', async () => {
    expect(await seed(api.database, passwords)).toBe(true)
    const { users, items } = await contentOf(api.database)
    expect(users.map(({ email, role, is_verified }) => ({ email, role, is_verified }))).toEqual([
      { email: 'admin@example.com', role: 'admin', is_verified: true },
      { email: 'user@example.com', role: 'user', is_verified: true },
    ])
    expect(items.map(({ owner_id }) => owner_id)).toEqual([null, null, null])

    for (const { email } of seededUsers)
      expect((await api.post('/api/v1/auth/login', { email, password: seededPassword })).status).toBe(200)
    expect((await api.get('/api/v1/items')).body.data.pagination.total).toBe(3)
  })

  test('seeding again changes nothing', async () => {
    const before = await contentOf(api.database)
    expect(await seed(api.database, passwords)).toBe(false)
    expect(await contentOf(api.database)).toEqual(before)
  })
})

onEachDatabase((kind) => {
  let servers: Database[]
  beforeAll(async () => {
    const config = settings({ DATABASE_URL: await freshDatabase(kind) })
    servers = [openDatabase(config), openDatabase(config), openDatabase(config)]
  })
  afterAll(() => Promise.all(servers.map((database) => database.close())))

  test('of servers that seed at once, one does, and none fails', async () => {
    await Promise.all(servers.map((database) => database.ping()))
    let hashing = 0
    const together = Promise.withResolvers<void>()
    const hash = async (password: string) => {
      // By now each has seen that the database is empty.
      if (++hashing === servers.length) together.resolve()
      await together.promise
      return passwords.hash(password)
    }
    const seeded = await Promise.all(servers.map((database) => seed(database, { ...passwords, hash })))
    expect(seeded.filter(Boolean)).toHaveLength(1)
    const { users, items } = await contentOf(servers[0]!)
    expect([users.length, items.length]).toEqual([2, 3])
  })

  test('a database with any account, even a deleted one, is left as it is', async () => {
    const [database] = servers as [Database]
    await database.query().deleteFrom('items').execute()
    await database.query().deleteFrom('users').where('email', '!=', 'user@example.com').execute()
    await database.query().updateTable('users').set({ deleted_at: '2026-01-01T00:00:00.000Z' }).execute()
    expect(await seed(database, passwords)).toBe(false)
    const { users, items } = await contentOf(database)
    expect([users.length, items.length]).toEqual([1, 0])
  })
})
