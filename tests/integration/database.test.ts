import { setImmediate } from 'node:timers/promises'
import { CompiledQuery, sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { createItemRepository, type ItemRepository } from '../../src/repositories/item.repository.ts'
import { createSessionRepository } from '../../src/repositories/session.repository.ts'
import { createUserRepository } from '../../src/repositories/user.repository.ts'
import { freshDatabase, onEachDatabase, type DatabaseKind } from '../support/databases.ts'
import { countItems } from '../support/items.ts'
import { settings } from '../support/settings.ts'

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const person = { password_hash: 'x', first_name: 'Ada', last_name: 'Lovelace' }

/** Two servers on one database, for the tests of a block. */
function useServers(kind: DatabaseKind, parameters = '') {
  const servers = {} as { database: Database; other: Database; items: ItemRepository }
  beforeAll(async () => {
    const config = settings({ DATABASE_URL: (await freshDatabase(kind)) + parameters })
    servers.database = openDatabase(config)
    servers.other = openDatabase(config)
    servers.items = createItemRepository(servers.database)
  })
  beforeEach(async () => {
    await servers.database.query().deleteFrom('items').execute()
  })
  afterAll(() => Promise.all([servers.database.close(), servers.other.close()]))
  return servers
}

const namesIn = async (database: Database) => {
  const rows = await database.query().selectFrom('items').select('name').orderBy('id').execute()
  return rows.map(({ name }) => name)
}

onEachDatabase((kind) => {
  const servers = useServers(kind)

  test('work that throws leaves nothing behind', async () => {
    const { database, items } = servers
    const work = database.transaction(async () => {
      await items.add({ name: 'one' })
      await items.add({ name: 'two' })
      throw new Error('in the middle')
    })
    await expect(work).rejects.toThrow('in the middle')
    expect(await namesIn(database)).toEqual([])
  })

  test('a transaction gives what its work gives, and then everybody sees the rows', async () => {
    const { database, other, items } = servers
    expect(await database.transaction(async () => (await items.add({ name: 'one' })).name)).toBe('one')
    expect(await namesIn(other)).toEqual(['one'])
  })

  test('a transaction inside another joins it: both happen or neither', async () => {
    const { database, items } = servers
    const work = database.transaction(async () => {
      await database.transaction(() => items.add({ name: 'inner' }))
      throw new Error('after the inner one')
    })
    await expect(work).rejects.toThrow('after the inner one')
    expect(await namesIn(database)).toEqual([])
  })

  test('repositories called inside a transaction work in it, which others do not see before it is done', async () => {
    const { database, other, items } = servers
    await database.transaction(async () => {
      const { public_id } = await items.add({ name: 'not yet' })
      await setImmediate()
      const found = await Promise.all([items.find(public_id), countItems(database)])
      expect(found).toMatchObject([{ name: 'not yet' }, 1])
      expect(await namesIn(other)).toEqual([])
    })
    expect(await namesIn(other)).toEqual(['not yet'])
  })

  test('a statement from outside is no part of a transaction that is open', async () => {
    const { database, items } = servers
    const begun = Promise.withResolvers<void>()
    const outsideSent = Promise.withResolvers<void>()
    const work = database.transaction(async () => {
      await items.add({ name: 'inside' })
      begun.resolve()
      await outsideSent.promise
      throw new Error('taken back')
    })
    await begun.promise
    const outside = items.add({ name: 'outside' })
    await setImmediate()
    outsideSent.resolve()
    await expect(work).rejects.toThrow('taken back')
    await outside
    expect(await namesIn(database)).toEqual(['outside'])
  })

  test('booleans are booleans, and times are in UTC with milliseconds', async () => {
    const { database } = servers
    const { id } = await createUserRepository(database).add({ ...person, email: 'types@example.com' })
    const user = await database.query().selectFrom('users').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect(user).toMatchObject({ is_active: true, is_verified: false, is_deleted: false, deleted_at: null })
    for (const time of [user.created_at, user.updated_at, user.password_changed_at]) expect(time).toMatch(isoTime)

    await database.query().updateTable('users').set({ is_active: false, is_verified: true }).execute()
    const flags = await database
      .query()
      .selectFrom('users')
      .where('is_verified', '=', true)
      .select(['is_active as active', 'is_verified'])
      .execute()
    expect(flags).toEqual([{ active: false, is_verified: true }])
  })

  test('a time comes back as it was written, and a count is a number', async () => {
    const { database } = servers
    const { id } = await createUserRepository(database).add({ ...person, email: 'times@example.com' })
    const limits = { lifetime: 60, idle: 60, leeway: 0 }
    await createSessionRepository(database).add(id, { ip: '127.0.0.1', user_agent: null }, limits)
    const written = '2031-02-03T04:05:06.789Z'
    const changed = await database
      .query()
      .updateTable('sessions')
      .set({ expires_at: written })
      .returning('expires_at')
      .executeTakeFirstOrThrow()
    expect(changed.expires_at).toBe(written)
    expect(await countItems(servers.database)).toBe(0)
  })

  test("the clock is the database's and moves by seconds", async () => {
    const { clock, query } = servers.database
    const { rows } = await sql<
      Record<'before' | 'now' | 'after', string>
    >`select ${clock(-10)} as before, ${clock()} as now, ${clock(90)} as after`.execute(query())
    const { before, now, after } = rows[0]!
    for (const time of [before, now, after]) expect(time).toMatch(isoTime)
    expect([Date.parse(now) - Date.parse(before), Date.parse(after) - Date.parse(now)]).toEqual([10_000, 90_000])
  })

  test('a value is never part of a statement, whatever stands in it', async () => {
    const { database, items } = servers
    const name = `'; drop table items; -- "" \\' $1 ? :name /* {} %s \`items\` 'ß'`
    const { public_id } = await items.add({ name, description: name })
    expect(await items.find(public_id)).toMatchObject({ name, description: name })
    expect(await items.change(public_id, { description: `${name}'` })).toMatchObject({ description: `${name}'` })
    expect(await countItems(database)).toBe(1)
    expect(database.query().insertInto('items').values({ name, name_folded: name }).compile().sql).not.toContain('drop')
  })
})

describe('on sqlite alone', () => {
  const servers = useServers('sqlite')

  test.for([
    ['journal_mode', 'wal'],
    ['foreign_keys', 1],
    ['synchronous', 2],
    ['trusted_schema', 0],
  ])('the file is opened with %s = %s', async ([pragma, value]) => {
    const { rows } = await servers.database.query().executeQuery(CompiledQuery.raw(`pragma ${pragma}`))
    expect(Object.values(rows[0] as object)).toEqual([value])
  })

  test('SQLite itself does not wait for another process, which would block every other request: the driver does', async () => {
    const { rows } = await servers.database.query().executeQuery(CompiledQuery.raw('pragma busy_timeout'))
    expect(rows).toEqual([{ timeout: 0 }])
  })

  test('read, then write: the transactions of two servers on one file follow one another', async () => {
    const { database, other } = servers
    const addNext = (server: Database) =>
      server.transaction(async () => {
        const items = createItemRepository(server)
        await items.add({ name: `${await countItems(server)}` })
      })
    await Promise.all(Array.from({ length: 20 }, (_, index) => addNext(index % 2 === 0 ? database : other)))
    expect(await namesIn(database)).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`))
  })
})

describe('on postgresql alone', () => {
  // Notice a deadlock at once, not after a second.
  const servers = useServers('postgresql', '?options=-c%20deadlock_timeout%3D10ms')

  test('after a deadlock the one that lost is run again, and both succeed', async () => {
    const { database, items } = servers
    const [one, two] = [await items.add({ name: 'one' }), await items.add({ name: 'two' })]
    let attempts = 0
    const lockInTurn = (
      [first, second]: [string, string],
      mine: PromiseWithResolvers<void>,
      theirs: PromiseWithResolvers<void>,
    ) =>
      database.transaction(async () => {
        attempts++
        await items.change(first, { priority: 2 })
        mine.resolve()
        await theirs.promise
        await items.change(second, { priority: 3 })
      })
    const [a, b] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    await Promise.all([
      lockInTurn([one.public_id, two.public_id], a, b),
      lockInTurn([two.public_id, one.public_id], b, a),
    ])
    expect(attempts).toBe(3)
  })

  test('after a serialization failure the work is run again and sees what the other one wrote', async () => {
    const { database, other, items } = servers
    const { public_id } = await items.add({ name: 'counter', priority: 1 })
    let attempts = 0
    await database.transaction(async () => {
      await sql`set transaction isolation level repeatable read`.execute(database.query())
      const { priority } = (await items.find(public_id))!
      if (++attempts === 1) await createItemRepository(other).change(public_id, { priority: 4 })
      await items.change(public_id, { priority: priority + 1 })
    })
    expect(attempts).toBe(2)
    expect(await items.find(public_id)).toMatchObject({ priority: 5 })
  })

  test('so is a statement by itself, where all are serializable', async () => {
    const parameters = '?options=-c%20default_transaction_isolation%3Dserializable'
    const config = settings({ DATABASE_URL: (await freshDatabase('postgresql')) + parameters })
    const [database, other] = [openDatabase(config), openDatabase(config)]
    const items = createItemRepository(database)
    const { public_id } = await items.add({ name: 'contended' })
    const blocked = sql<{ n: number }>`select count(*) as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`
    let change: Promise<unknown> | undefined
    await other.transaction(async () => {
      await createItemRepository(other).change(public_id, { priority: 2 })
      change = items.change(public_id, { name: 'changed' })
      await vi.waitFor(async () => expect((await blocked.execute(database.query())).rows).toEqual([{ n: 1 }]), 5000)
    })
    expect(await change).toMatchObject({ name: 'changed', priority: 2 })
    await Promise.all([database.close(), other.close()])
  })

  test('it gives up after a few attempts, and nothing is left behind', async () => {
    const { database, items } = servers
    let attempts = 0
    const work = database.transaction(async () => {
      attempts++
      await items.add({ name: 'never' })
      await sql`do $$ begin raise exception 'again' using errcode = '40001'; end $$`.execute(database.query())
    })
    await expect(work).rejects.toMatchObject({ code: 'unavailable' })
    expect(attempts).toBe(5)
    expect(await namesIn(database)).toEqual([])
  })
})
