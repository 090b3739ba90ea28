import { sql } from 'kysely'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import type { Given } from '../../src/db/statements.ts'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { behindPgbouncer, freshDatabase, onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'
import { settings } from '../support/settings.ts'

const opened: Database[] = []
const open = (url: string, overrides: Record<string, string> = {}) => {
  opened.push(openDatabase(settings({ DATABASE_URL: url, ...overrides })))
  return opened.at(-1)!
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()))
})

/** A statement with a value that may be absent and an order, which counts how often it is built. */
function prepareCounted({ prepare, query }: Database) {
  const counted = { builds: 0 }
  type Values = { priority: number; description?: string | null | undefined }
  const statement = prepare(({ priority, description }: Given<Values>, order: 'asc' | 'desc') => {
    counted.builds++
    let items = query().selectFrom('items').where('priority', '=', priority).orderBy('id', order).select('name')
    if (description) items = items.where(sql<boolean>`description is not distinct from ${description}`)
    return items
  })
  const names = async (values: Values, order: 'asc' | 'desc' = 'asc') =>
    (await statement.all(values, order)).map(({ name }) => name).join()
  return { counted, names, statement }
}

onEachDatabase((kind) => {
  let url: string
  let database: Database
  beforeAll(async () => {
    url = await freshDatabase(kind)
    await insertItems(open(url), [
      { name: 'a', priority: 1 },
      { name: 'b', priority: 1, description: 'one' },
      { name: 'c', priority: 2, description: 'two' },
      { name: 'd', priority: 2 },
    ])
  })
  beforeEach(() => void (database = open(url)))

  test('a statement is compiled once for each set of values given and each choice', async () => {
    const { counted, names } = prepareCounted(database)
    const ask = async () => [
      await names({ priority: 1 }),
      await names({ priority: 2 }),
      await names({ priority: 2, description: undefined }),
      await names({ priority: 1 }, 'desc'),
      await names({ priority: 1, description: 'one' }),
      await names({ priority: 2, description: 'two' }),
      await names({ priority: 2, description: null }),
    ]
    for (let round = 0; round < 3; round++) expect(await ask()).toEqual(['a,b', 'c,d', 'c,d', 'b,a', 'b', 'c', 'd'])
    expect(counted.builds).toBe(3)
  })

  test('of many at once each has its own values', async () => {
    const { counted, names } = prepareCounted(database)
    const asked = Array.from({ length: 60 }, (_, n) =>
      n % 3 === 0
        ? names({ priority: 1 })
        : n % 3 === 1
          ? names({ priority: 2, description: 'two' })
          : names({ priority: 2 }, 'desc'),
    )
    expect(await Promise.all(asked)).toEqual(asked.map((_, n) => ['a,b', 'c', 'd,c'][n % 3]))
    expect(counted.builds).toBe(3)
  })

  test('it gives a row, none, or how many it changed', async () => {
    const { statement } = prepareCounted(database)
    expect(await statement.first({ priority: 2 }, 'asc')).toEqual({ name: 'c' })
    expect(await statement.first({ priority: 5 }, 'asc')).toBeUndefined()
    expect(await statement.one({ priority: 1 }, 'desc')).toEqual({ name: 'b' })
    await expect(statement.one({ priority: 5 }, 'desc')).rejects.toThrow('gives no row')
    const touch = database.prepare(({ priority }: Given<{ priority: number }>) =>
      database.query().updateTable('items').set({ updated_at: database.clock() }).where('priority', '=', priority),
    )
    expect([await touch.count({ priority: 1 }), await touch.count({ priority: 5 })]).toEqual([2, 0])
  })

  test('what was compiled in a transaction is used outside of it, and goes where each belongs', async () => {
    const rename = database.prepare(({ from, to }: Given<{ from: string; to: string }>) =>
      database.query().updateTable('items').set({ name: to }).where('name', '=', from),
    )
    const { names } = prepareCounted(database)
    const failing = database.transaction(async () => {
      expect(await rename.count({ from: 'c', to: 'changed' })).toBe(1)
      expect(await names({ priority: 2 })).toBe('changed,d')
      throw new Error('not after all')
    })
    await expect(failing).rejects.toThrow('not after all')
    expect(await names({ priority: 2 })).toBe('c,d')
    expect(await rename.count({ from: 'c', to: 'c' })).toBe(1)
    await database.transaction(async () => expect(await names({ priority: 2 })).toBe('c,d'))
  })

  test('an encrypted column takes and gives plain text each time, and null', async () => {
    const user = { email: 'ada@example.com', password_hash: 'x', first_name: 'Ada', last_name: 'Lovelace' }
    const { id } = await database.query().insertInto('users').values(user).returning('id').executeTakeFirstOrThrow()
    const add = database.prepare((values: Given<{ ip: string | null; user_agent?: string | undefined }>) =>
      database
        .query()
        .insertInto('sessions')
        .values({ ...values, user_id: id, expires_at: database.clock(60), idle_expires_at: database.clock(60) })
        .returning(['ip', 'user_agent']),
    )
    for (const ip of ['203.0.113.1', null, '203.0.113.2', '203.0.113.3']) {
      expect(await add.one({ ip })).toEqual({ ip, user_agent: null })
      expect(await add.one({ ip, user_agent: 'test' })).toEqual({ ip, user_agent: 'test' })
    }
    const stored = await sql<{ ip: string | null }>`select ip from sessions`.execute(database.query())
    const tokens = stored.rows.map(({ ip }) => ip).filter((ip) => ip !== null)
    expect(new Set(tokens).size).toBe(6)
    for (const token of tokens) expect(token).toMatch(/^gAAAAA/)
  })

  test('of very many forms not all are kept, and each is right', async () => {
    let builds = 0
    const echo = database.prepare(({ value }: Given<{ value: string }>, choice: number) => {
      builds++
      return database
        .query()
        .selectFrom('items')
        .select([sql<string>`cast(${value} as text)`.as('value'), sql.lit(choice).as('choice')])
        .limit(sql.lit(1))
    })
    for (const round of ['first', 'second'])
      for (let choice = 0; choice < 600; choice++)
        expect(await echo.one({ value: round }, choice)).toEqual({ value: round, choice })
    expect(builds).toBeGreaterThan(600)
  })

  test('when a migration changes a column under a running server, at most one request of a connection fails', async () => {
    const running = open(url, { DATABASE_POOL_SIZE: '1' })
    const items = createItemRepository(running)
    const { public_id } = await items.add({ name: 'before' })
    await items.find(public_id)
    const change =
      kind === 'sqlite'
        ? sql`alter table items add column more text`
        : sql`alter table items alter column name type varchar(200)`
    await change.execute(open(url).query())

    const outcome = await items.find(public_id).then(
      (item) => item?.name,
      (error: unknown) => (error instanceof UnavailableError ? 'unavailable' : error),
    )
    // Behind a PgBouncer of before 1.21 nothing is parsed beforehand.
    expect(outcome).toBe(kind === 'sqlite' || behindPgbouncer ? 'before' : 'unavailable')
    expect(await items.find(public_id)).toMatchObject({ name: 'before' })
    expect(await items.change(public_id, { name: 'after' })).toMatchObject({ name: 'after' })
  })
})
