import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { createEncryption } from '../../src/core/security/encryption.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { reencrypt } from '../../src/db/reencrypt.ts'
import { encryptedColumns } from '../../src/models/encrypted.ts'
import { models } from '../../src/models/index.ts'
import { useApi } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { idOf } from '../support/sessions.ts'
import { environment, settings } from '../support/settings.ts'

const newKey = 'D7favuAZ-p0P4LxVUUXi0gMhbl_SeIX3qdr-ZzKVzjk='
const oldKey = environment.ENCRYPTION_KEY

test('the list of encrypted columns is what the models declare', () => {
  const declared = models.flatMap(({ meta: { tableName, properties } }) => {
    const columns = Object.entries(properties).filter(([, { comment }]) => comment === 'encrypted')
    return columns.length > 0 ? [[tableName, columns.map(([name]) => name)]] : []
  })
  expect(Object.fromEntries(declared)).toEqual(encryptedColumns)
})

onEachDatabase((kind) => {
  const api = useApi(kind)
  const stored = async (column: string, table: string) => {
    const { rows } = await sql<{ value: string | null }>`
      select ${sql.ref(column)} as value from ${sql.table(table)} order by id
    `.execute(api.database.query())
    return rows.map(({ value }) => value)
  }

  test('an address is nowhere in the database, and everywhere else as it was (ASVS 14.2.4)', async () => {
    const { email, password } = await api.account()
    const { body } = await api.post('/api/v1/auth/login', { email, password })
    for (const [table, columns] of Object.entries(encryptedColumns))
      for (const column of columns) {
        const values = (await stored(column, table)).filter((value) => value !== null)
        expect(values.length).toBeGreaterThan(0)
        for (const value of values) {
          expect(value).toMatch(/^gAAAAA/)
          expect(createEncryption([oldKey]).decrypt(value)).toBe('127.0.0.1')
        }
      }
    const sessions = await api.get('/api/v1/auth/sessions', { token: body.data.access_token })
    expect(sessions.body.data.map(({ ip }: { ip: string }) => ip)).toEqual(['127.0.0.1', '127.0.0.1'])
    const event = api.log.findLast(({ channel }) => channel === 'audit')
    expect(event).toMatchObject({ event: 'login.succeeded', ip: '127.0.0.1' })
  })

  describe('a query reads and writes plain text', () => {
    let session: string
    beforeAll(async () => {
      session = idOf(await api.account())
    })
    const sessions = () => api.database.query().selectFrom('sessions').where('public_id', '=', session)
    const change = (values: object) =>
      api.database.query().updateTable('sessions').set(values).where('public_id', '=', session)
    const ip = '203.0.113.9'

    test('by name, under another name, and among all columns', async () => {
      await change({ ip }).execute()
      expect(await sessions().select('ip').executeTakeFirst()).toEqual({ ip })
      expect(await sessions().select('sessions.ip as address').executeTakeFirst()).toEqual({ address: ip })
      expect(await sessions().selectAll().executeTakeFirst()).toMatchObject({ ip, public_id: session })
    })

    test('through a join, and through a table under another name', async () => {
      await change({ ip }).execute()
      const joined = api.database
        .query()
        .selectFrom('sessions as s')
        .innerJoin('users as u', 'u.id', 's.user_id')
        .where('s.public_id', '=', session)
      expect(await joined.select(['s.ip', 'u.email']).executeTakeFirst()).toMatchObject({ ip })
      expect(await joined.selectAll('s').executeTakeFirst()).toMatchObject({ ip })
      expect(await joined.select(['u.last_login_ip as ip']).executeTakeFirst()).toEqual({ ip: null })
    })

    test('in what a change gives back, and in a row that is added twice', async () => {
      expect(await change({ ip }).returning('ip').executeTakeFirst()).toEqual({ ip })
      const row = await sessions().select(['id', 'user_id', 'expires_at', 'idle_expires_at']).executeTakeFirstOrThrow()
      const added = api.database
        .query()
        .insertInto('sessions')
        .values({ ...row, ip })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ ip: '203.0.113.10' }))
        .returningAll()
      expect(await added.executeTakeFirst()).toMatchObject({ ip: '203.0.113.10' })
      expect((await stored('ip', 'sessions')).every((value) => value?.startsWith('gAAAAA'))).toBe(true)
    })

    test('also where only the second try names it, and within a with', async () => {
      const row = await sessions().select(['id', 'user_id', 'expires_at', 'idle_expires_at']).executeTakeFirstOrThrow()
      const added = api.database
        .query()
        .insertInto('sessions')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ ip: '203.0.113.11' }))
      expect(await added.returning('ip').executeTakeFirst()).toEqual({ ip: '203.0.113.11' })
      await added.clearReturning().execute()
      if (kind === 'postgresql')
        await api.database
          .query()
          .with('changed', (query) =>
            query.updateTable('sessions').set({ ip }).where('public_id', '=', session).returning('id'),
          )
          .selectFrom('changed')
          .selectAll()
          .execute()
      expect((await stored('ip', 'sessions')).every((value) => value?.startsWith('gAAAAA'))).toBe(true)
    })

    test('many rows at once, with and without a value', async () => {
      const base = await sessions().select(['user_id', 'expires_at', 'idle_expires_at']).executeTakeFirstOrThrow()
      const rows = [
        { ...base, ip, user_agent: 'one' },
        { ...base, user_agent: 'two' },
        { ...base, ip: null },
      ]
      const added = await api.database.query().insertInto('sessions').values(rows).returning('ip').execute()
      expect(added).toEqual([{ ip }, { ip: null }, { ip: null }])
    })

    test('and refuses what it cannot encrypt', async () => {
      const computed = change({ ip: sql`'203.0.113.9'` })
      await expect(computed.execute()).rejects.toThrow('takes a plain value')
      const copied = api.database
        .query()
        .insertInto('sessions')
        .columns(['user_id', 'expires_at', 'idle_expires_at', 'ip'])
        .expression((eb) => eb.selectFrom('sessions').select(['user_id', 'expires_at', 'idle_expires_at', 'ip']))
      await expect(copied.execute()).rejects.toThrow('takes plain values')
    })

    test('a column of the same name in another table is left alone', async () => {
      const event = api.database.query().selectFrom('throttles').select('key as ip')
      await api.database.query().insertInto('throttles').values({ key: 'plain', until: api.database.clock() }).execute()
      expect(await event.where('key', '=', 'plain').executeTakeFirst()).toEqual({ ip: 'plain' })
    })
  })

  describe('after a new key was put before the old one', () => {
    const project = useProject()
    let database: Database
    let url: string
    const keys = [newKey, oldKey]
    const tokens = async () => {
      const { rows } = await sql<{ ip: string }>`select ip from sessions order by id`.execute(database.query())
      return rows.map(({ ip }) => ip)
    }
    beforeAll(async () => {
      url = await freshDatabase(kind)
      database = openDatabase(settings({ DATABASE_URL: url }))
      const user = { email: 'ada@example.com', password_hash: 'x', first_name: 'Ada', last_name: 'Lovelace' }
      const { id } = await database.query().insertInto('users').values(user).returning('id').executeTakeFirstOrThrow()
      const ends = { expires_at: database.clock(60), idle_expires_at: database.clock(60) }
      const rows = Array.from({ length: 1200 }, (_, index) => ({ user_id: id, ip: `2001:db8::${index}`, ...ends }))
      for (let first = 0; first < rows.length; first += 400)
        await database
          .query()
          .insertInto('sessions')
          .values(rows.slice(first, first + 400))
          .execute()
      return () => database.close()
    })

    test('the command encrypts every value again, once, and says how many', async () => {
      const settingsAfter = { ...environment, DATABASE_URL: url, ENCRYPTION_KEY: keys.join(',') }
      const first = await project.app(['keys', 'rotate'], settingsAfter)
      expect(first).toMatchObject({
        code: 0,
        output: expect.stringContaining('sessions.ip\t1200\t0\t0\n'),
      })
      const only = createEncryption([newKey])
      expect((await tokens()).map((token) => only.decrypt(token))).toEqual(
        Array.from({ length: 1200 }, (_, index) => `2001:db8::${index}`),
      )
      const second = await project.app(['keys', 'rotate'], settingsAfter)
      expect(second.output).toContain('sessions.ip\t0\t1200\t0\n')
    })

    test('what none of the keys opens is told, and left as it is', async () => {
      const before = await tokens()
      const lost = createEncryption(['cJ3FB4hMJQm0HUDZcpXXBvKSmF9PPKhmMKZaCJQj8bU='])
      const counts = (await reencrypt(database, lost)).find(({ column }) => column === 'sessions.ip')
      expect(counts).toEqual({ column: 'sessions.ip', renewed: 0, current: 0, unreadable: 1200 })
      expect(await tokens()).toEqual(before)
      const settingsLost = { ...environment, DATABASE_URL: url }
      const { code, output } = await project.app(['keys', 'rotate'], settingsLost)
      expect(code).toBe(1)
      expect(output).toContain('sessions.ip: 1200 under none of the keys, left as they are\n')
      expect(output).not.toContain(environment.ENCRYPTION_KEY)
    })
  })
})
