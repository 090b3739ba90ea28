import { sql, type RawBuilder } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { itemStatuses, revokeReasons, roles } from '../../src/models/enums.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const laterOn = '2040-01-01T00:00:00.000Z'

/** What the database itself holds to, whoever writes: these statements do not come from the repositories. */
onEachDatabase((kind) => {
  let database: Database
  beforeAll(async () => {
    database = openDatabase(settings({ DATABASE_URL: await freshDatabase(kind) }))
  })
  afterAll(() => database.close())

  const run = async (statement: RawBuilder<unknown>) =>
    (await statement.execute(database.query())).rows as Record<string, unknown>[]

  let people = 0
  const addUser = async (email = `person${++people}@example.com`) => {
    const [user] = await run(
      sql`insert into users (email, password_hash, first_name, last_name) values (${email}, 'x', 'Ada', 'Lovelace') returning *`,
    )
    return user!
  }
  const addItem = async (owner: unknown = null) => {
    const [item] = await run(
      sql`insert into items (name, name_folded, owner_id) values ('thing', 'thing', ${owner}) returning *`,
    )
    return item!
  }
  const addSession = async (user: unknown) => {
    const [session] = await run(
      sql`insert into sessions (user_id, expires_at, idle_expires_at) values (${user}, ${laterOn}, ${laterOn}) returning *`,
    )
    return session!
  }
  const times = (...names: string[]) => Object.fromEntries(names.map((name) => [name, expect.stringMatching(isoTime)]))
  const keys = { id: expect.any(Number), public_id: expect.stringMatching(uuid4) }

  test('the database fills in every default itself', async () => {
    const user = await addUser()
    expect(user).toMatchObject({ ...keys, ...times('created_at', 'updated_at', 'password_changed_at') })
    expect(user).toMatchObject({ role: 'user', version: 1, is_active: true, is_verified: false, is_deleted: false })
    expect(user).toMatchObject({ deleted_at: null, last_login: null, last_login_ip: null })

    const item = await addItem()
    expect(item).toMatchObject({
      ...keys,
      ...times('created_at', 'updated_at'),
      status: 'draft',
      priority: 1,
      version: 1,
    })
    expect(item).toMatchObject({ description: null, owner_id: null, deleted_at: null, is_deleted: false })

    const session = await addSession(user['id'])
    expect(session).toMatchObject({ ...keys, ...times('created_at', 'updated_at', 'rotated_at') })
    expect(session).toMatchObject({ gen: 0, confirmed_gen: 0, revoked_at: null, revoke_reason: null })
  })

  test('public ids are random and no two are the same', async () => {
    const items = await Promise.all(Array.from({ length: 50 }, () => addItem()))
    expect(new Set(items.map(({ public_id }) => public_id)).size).toBe(50)
    const twin = sql`insert into items (name, name_folded, public_id) values ('twin', 'twin', ${items[0]!['public_id']})`
    await expect(run(twin)).rejects.toThrow(/already in use/)
  })

  test('an enum takes its values and nothing else', async () => {
    const [user, item] = [await addUser(), await addItem()]
    const session = await addSession(user['id'])
    const columns = [
      ['users', 'role', roles, user],
      ['items', 'status', itemStatuses, item],
      ['sessions', 'revoke_reason', revokeReasons, session],
    ] as const
    for (const [table, column, values, { id }] of columns) {
      const set = (value: string) => {
        const revoked = table === 'sessions' ? sql`, revoked_at = ${laterOn}` : sql``
        return run(sql`update ${sql.table(table)} set ${sql.ref(column)} = ${value} ${revoked} where id = ${id}`)
      }
      for (const value of values) await set(value)
      for (const value of ['', 'other', values[0].toUpperCase()]) await expect(set(value)).rejects.toThrow(/check/i)
    }
  })

  test('a priority is from 1 to 5', async () => {
    const { id } = await addItem()
    const set = (priority: number) => run(sql`update items set priority = ${priority} where id = ${id}`)
    await set(1)
    await set(5)
    for (const priority of [0, 6, -1]) await expect(set(priority)).rejects.toThrow(/check/i)
  })

  test('a session keeps its generations in order, and a reason beside every revocation', async () => {
    const { id } = await addSession((await addUser())['id'])
    const change = (columns: RawBuilder<unknown>) => run(sql`update sessions set ${columns} where id = ${id}`)
    await change(sql`gen = 2, confirmed_gen = 2`)
    const refused = [
      sql`confirmed_gen = 3`,
      sql`gen = -1, confirmed_gen = -1`,
      sql`revoked_at = ${laterOn}`,
      sql`revoke_reason = 'logout'`,
    ]
    for (const columns of refused) await expect(change(columns)).rejects.toThrow(/check/i)
    await change(sql`revoked_at = ${laterOn}, revoke_reason = 'logout'`)
  })

  test('whether a row is deleted follows from when, and cannot be written', async () => {
    const { id } = await addItem()
    const change = async (column: string, value: string | boolean | null) => {
      const [item] = await run(
        sql`update items set ${sql.ref(column)} = ${value} where id = ${id} returning is_deleted`,
      )
      return item!['is_deleted']
    }
    expect(await change('deleted_at', laterOn)).toBe(true)
    expect(await change('deleted_at', null)).toBe(false)
    await expect(change('is_deleted', true)).rejects.toThrow(/generated column|is_deleted/)
    await expect(
      run(sql`insert into items (name, name_folded, is_deleted) values ('x', 'x', ${true})`),
    ).rejects.toThrow(/generated column|is_deleted/)
  })

  test('an e-mail is lower case, and unique among live accounts alone', async () => {
    const { id } = await addUser('ada@example.com')
    await expect(addUser('Ada@example.com')).rejects.toThrow(/check/i)
    await expect(addUser('ada@example.com')).rejects.toThrow('This email is already in use')
    await run(sql`update users set deleted_at = ${laterOn} where id = ${id}`)
    await addUser('ada@example.com')
    await expect(run(sql`update users set deleted_at = null where id = ${id}`)).rejects.toThrow(/already in use/)
  })

  test("with an account go its sessions, while its items become nobody's", async () => {
    const { id } = await addUser()
    const [session, item] = [await addSession(id), await addItem(id)]
    await run(sql`delete from users where id = ${id}`)
    expect(await run(sql`select id from sessions where id = ${session['id']}`)).toEqual([])
    expect(await run(sql`select owner_id from items where id = ${item['id']}`)).toEqual([{ owner_id: null }])
  })

  test('every foreign key leads an index, so that deleting a parent does not read whole tables', async () => {
    const foreignKeys = {
      sqlite: sql`select m.name || '.' || k."from" as foreign_key from sqlite_master m, pragma_foreign_key_list(m.name) k where m.type = 'table' order by 1`,
      postgresql: sql`select c.conrelid::regclass || '.' || a.attname as foreign_key from pg_constraint c
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] where c.contype = 'f' order by 1`,
    }
    const leading = {
      sqlite: sql`select m.name || '.' || c.name as leading from sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c where m.type = 'table' and c.seqno = 0 and i.partial = 0`,
      postgresql: sql`select i.indrelid::regclass || '.' || a.attname as leading from pg_index i
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0] where i.indpred is null`,
    }
    const keyed = (await run(foreignKeys[kind])).map(({ foreign_key }) => foreign_key)
    const indexed = (await run(leading[kind])).map((row) => row['leading'])
    expect(keyed).toEqual(expect.arrayContaining(['items.owner_id', 'sessions.user_id']))
    expect(indexed).toEqual(expect.arrayContaining(keyed))
  })
})
