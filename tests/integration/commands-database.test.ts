import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery } from 'kysely'
import { expect, test } from 'vitest'
import { seededPassword } from '../../src/db/seed.ts'
import { useCommands } from '../support/commands.ts'
import { onEachDatabase, type DatabaseKind } from '../support/databases.ts'

/** What somebody may have left in a database: each kind of thing, and things that hold on to one another. */
const leftovers: Record<DatabaseKind, string[]> = {
  sqlite: [
    'create table "left ""over" (id integer primary key, user_id bigint references users (id))',
    'insert into "left ""over" values (1, 1)',
    'create view seen as select * from users',
    'create virtual table words using fts5 (text)',
    'create trigger held before delete on items begin select 1; end',
  ],
  postgresql: [
    "create type mood as enum ('good', 'bad')",
    'create type pair as (a integer, b mood)',
    'create type span as range (subtype = integer)',
    'create domain short as text check (length(value) < 9)',
    'create table "left ""over" (id integer generated always as identity, m mood, s short, user_id bigint references users (id))',
    'create table parted (id integer) partition by list (id)',
    'create table part partition of parted for values in (1)',
    'create view seen as select * from users',
    'create materialized view kept as select * from seen',
    'create sequence counting',
    "create function twice (integer) returns integer language sql as 'select $1 * 2'",
    "create procedure nothing () language sql as 'select 1'",
    'create aggregate total (integer) (sfunc = int4pl, stype = integer)',
    'create extension citext',
  ],
}

/** What is found of it. */
const remains: Record<DatabaseKind, string> = {
  sqlite: `select name from sqlite_master where name in ('seen', 'held') or name like 'words%' or name like 'left%'`,
  postgresql: `
    select typname as name from pg_type where typname in ('mood', 'pair', 'span', 'short', 'parted', 'part', 'seen', 'kept')
    union select proname from pg_proc where proname in ('twice', 'nothing', 'total', 'span')`,
}

/** What an extension brought is not ours to drop. */
const stays: Record<DatabaseKind, string> = {
  sqlite: 'select 1 as same',
  postgresql: "select ('A'::citext = 'a'::citext)::integer as same",
}

onEachDatabase((kind) => {
  const { api, app, logIn, given, project } = useCommands(kind)
  const execute = (statement: string) => api.database.query().executeQuery(CompiledQuery.raw(statement))
  const live = async (table: 'users' | 'items') => {
    const rows = await api.database.query().selectFrom(table).where('deleted_at', 'is', null).select('id').execute()
    return rows.length
  }

  test('a database is filled up to as many accounts and items as asked for, again after an interruption', async () => {
    const [bad, negative] = await Promise.all([
      app(['db', 'seed', '--items', '1e3']),
      app(['db', 'seed', '--users', '-1']),
    ])
    expect(bad).toMatchObject({ code: 2, output: '--items must be a whole number below a billion\n' })
    expect(negative.code).toBe(2)
    expect(await live('users')).toBe(0)

    // More than one statement of 10 000 rows each.
    const filled = await app(['db', 'seed', '--users', '1100', '--items', '10100'])
    expect(filled).toMatchObject({ code: 0, output: 'Seeded.\nusers: 1098 added\nitems: 10097 added\n' })
    expect([await live('users'), await live('items')]).toEqual([1100, 10_100])

    // As an interruption between two statements leaves it, or a deletion.
    await execute('delete from users where id > 1000')
    await execute("update items set deleted_at = created_at where name like '%7)'")
    const again = await app(['db', 'seed', '--users', '1100', '--items', '10100'])
    expect(again.code).toBe(0)
    expect([await live('users'), await live('items')]).toEqual([1100, 10_100])
    const enough = await app(['db', 'seed', '--users', '5', '--items', '10100'])
    expect(enough).toMatchObject({ code: 0, stdout: expect.stringMatching(/users: 0 added\nitems: 0 added\n$/) })
  })

  test('what a bulk seed adds is what the API would have made', async () => {
    for (const page of [1, 20]) {
      const { status, body } = await api.get(`/api/v1/items?per_page=100&page=${page}`)
      expect(status).toBe(200)
      expect(body.data.pagination.total).toBe(10_100)
      const [{ public_id, created_at }] = body.data.items
      expect((await api.get(`/api/v1/items/${public_id}`)).status).toBe(200)
      expect(Date.parse(created_at)).toBeLessThanOrEqual(Date.now())
    }
    const found = await api.get('/api/v1/items/search?q=CAF%C3%89')
    expect(found.body.data.pagination.total).toBeGreaterThan(100)
    const { users } = JSON.parse((await app(['users', 'list', '--json', '--active', '--per-page', '3'])).stdout)
    for (const { email } of users) expect((await logIn(email, seededPassword)).status).toBe(200)
  })

  test('seeds at the same time add no more together than was asked for, while requests go on', async () => {
    const { access_token: token } = await api.account()
    const seeds = Array.from({ length: 3 }, () => app(['db', 'seed', '--users', '1200', '--items', '40000']))
    const over = Promise.all(seeds).then(() => true)
    const made = []
    while (!(await Promise.race([over, sleep(50, false)])))
      made.push((await api.post('/api/v1/items', { name: 'Made meanwhile' }, { token })).status)
    expect(new Set(made)).toEqual(new Set([201]))
    for (const seed of seeds) expect((await seed).code).toBe(0)
    expect(await live('users')).toBe(1200)
    expect(await live('items')).toBeGreaterThanOrEqual(40_000)
    expect(await live('items')).toBeLessThanOrEqual(40_000 + made.length)
  })

  test('each number is a rare word, which search finds', async () => {
    for (const number of [4321, 20_001, 39_998]) {
      const { body } = await api.get(`/api/v1/items/search?q=(${number})`)
      expect(body.data.items.map(({ name }: { name: string }) => name)).toEqual([
        expect.stringContaining(`(${number})`),
      ])
    }
  })

  test('sizes are told of each table, views aside, and of the whole', async () => {
    await execute('create view few as select id from users')
    const [json, fields] = await Promise.all([app(['db', 'stats', '--json']), app(['db', 'stats'])])
    expect(json.code).toBe(0)
    const { tables, bytes, version } = JSON.parse(json.stdout)
    expect(version).toMatch(kind === 'sqlite' ? /^SQLite \d/ : /^PostgreSQL \d/)
    expect(tables.map(({ name }: { name: string }) => name)).toEqual([
      'audit_events',
      'idempotency_keys',
      'items',
      'migrations',
      'sessions',
      'throttles',
      'users',
    ])
    const items = tables.find(({ name }: { name: string }) => name === 'items')
    expect(items.rows).toBeGreaterThanOrEqual(2050)
    expect(items.bytes).toBeGreaterThan(100_000)
    expect(bytes).toBeGreaterThan(items.bytes)
    expect(fields.stdout).toMatch(/^items\t\d+\t[\d.]+ (KiB|MiB)$/m)
    await execute('drop view few')
  })

  test('a reset asks first, and then drops whatever is there, under a running server', async () => {
    for (const statement of leftovers[kind]) await execute(statement)
    const unasked = await app(['db', 'reset'])
    expect(unasked).toMatchObject({ code: 2, output: 'Add --yes: there is no terminal to ask at\n' })
    const production = await project.app(['db', 'reset', '--yes'], { ...given, NODE_ENV: 'production' })
    expect(production).toMatchObject({ code: 1, output: 'Dropping everything is not for production.\n' })
    expect(await live('users')).toBe(1200)

    expect(await app(['db', 'reset', '--yes'])).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^(applied Migration\w+\n)+Seeded\.\n$/),
    })
    const { tables } = JSON.parse((await app(['db', 'stats', '--json'])).stdout)
    expect(tables.map(({ name, rows }: { name: string; rows: number }) => [name, rows])).toEqual([
      ['audit_events', 0],
      ['idempotency_keys', 0],
      ['items', 3],
      ['migrations', 1],
      ['sessions', 0],
      ['throttles', 0],
      ['users', 2],
    ])
    expect((await logIn('user@example.com', seededPassword)).status).toBe(200)
    expect((await execute(remains[kind])).rows).toEqual([])
    expect((await execute(stays[kind])).rows).toEqual([{ same: 1 }])
    // Everything is as the migrations made it: nothing hinders the next reset.
    expect((await app(['db', 'reset', '--yes'])).code).toBe(0)
  })

  test('the state of the migrations is told as JSON, and each seed after the first changes nothing', async () => {
    const status = await app(['db', 'status', '--json'])
    expect(status.code).toBe(0)
    expect(JSON.parse(status.stdout)).toEqual({
      applied: [expect.stringMatching(/^Migration\d{14}_/)],
      pending: [],
      unknown: [],
    })
    expect(await app(['db', 'seed'])).toMatchObject({
      code: 0,
      output: 'There are users already: the test users and sample items were left out.\n',
    })
    expect([await live('users'), await live('items')]).toEqual([2, 3])
    expect((await app(['db', 'downgrade', '--all'])).code).toBe(0)
    const pending = await app(['db', 'status', '--json'])
    expect(pending.code).toBe(1)
    expect(JSON.parse(pending.stdout)).toMatchObject({ applied: [] })
    expect(await app(['users', 'list'])).toMatchObject({
      code: 1,
      output: 'The database is not migrated: run "app db upgrade" first\n',
    })
  })
})
