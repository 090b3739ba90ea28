import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { sql } from 'kysely'
import pg from 'pg'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../src/db/database.ts'
import { Api } from '../support/api.ts'
import { freshDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { idOf } from '../support/sessions.ts'
import { environment, settings } from '../support/settings.ts'

const auth = '/api/v1/auth'
const me = '/api/v1/users/me'
const items = '/api/v1/items'

/** A role that may read and write rows, in the tables that there are and those to come, and nothing else. */
async function makeRole(url: string): Promise<string> {
  const role = `app_${randomUUID().replaceAll('-', '')}`
  const owner = new pg.Client(url)
  await owner.connect()
  const rows = 'select, insert, update, delete'
  for (const statement of [
    `create role ${role} login`,
    `grant ${rows} on all tables in schema public to ${role}`,
    `grant usage on all sequences in schema public to ${role}`,
    `alter default privileges grant ${rows} on tables to ${role}`,
    `alter default privileges grant usage on sequences to ${role}`,
  ])
    await owner.query(statement)
  await owner.end()
  const own = new URL(url)
  own.username = role
  return own.href
}

describe('a database role without any right to the schema (ASVS 13.2.2)', () => {
  test('is enough for everything that the server does', async () => {
    const url = await makeRole(await freshDatabase('postgresql'))
    const api = new Api()
    await api.start('postgresql', { DATABASE_URL: url, RATE_LIMIT_ENABLED: 'true' })
    onTestFinished(() => api.stop())

    const { email, password, ...first } = await api.account()
    const token = first.access_token
    const item = await api.post(items, { name: 'Mine' }, { token })
    const path = item.headers.get('location')!
    const second = (await api.post(`${auth}/login`, { email, password })).body.data
    const statuses = [
      await api.get('/health/ready'),
      await api.get(items),
      await api.get(`${items}/search?q=mine`),
      await api.patch(path, { name: 'Still mine' }, { token }),
      await api.delete(path, { token }),
      await api.get(`${auth}/sessions`, { token }),
      await api.patch(me, { first_name: 'Augusta' }, { token }),
      await api.post(`${me}/password`, { old_password: password, new_password: 'a new password' }, { token }),
      await api.post(`${auth}/refresh`, { refresh_token: first.refresh_token }),
      await api.post(`${auth}/logout`, { refresh_token: second.refresh_token }),
      await api.delete(`${auth}/sessions/${idOf(first)}`, { token }),
    ].map(({ status }) => status)
    expect(statuses).toEqual(statuses.map(() => 200))
    expect((await api.post(`${auth}/login`, { email, password: 'not the password' })).status).toBe(401)
    await api.database
      .query()
      .insertInto('audit_events')
      .values({ event: 'old', kept_until: api.database.clock(-1) })
      .execute()
    expect((await api.services.purge.run()).audit_events).toBe(1)
    expect(api.log.filter(({ level }) => level === 'error')).toEqual([])
  })

  test('changes no table, and cannot get at the audit events behind their triggers (ASVS 16.4.2)', async () => {
    const url = await makeRole(await freshDatabase('postgresql'))
    const database = openDatabase(settings({ DATABASE_URL: url }))
    onTestFinished(() => database.close())
    await database
      .query()
      .insertInto('audit_events')
      .values({ event: 'kept', kept_until: database.clock(60) })
      .execute()
    for (const statement of [
      'create table mine (id int)',
      'alter table users add column mine int',
      'drop table items',
      'truncate audit_events',
      'drop trigger audit_events_kept on audit_events',
      'alter table audit_events disable trigger all',
      'create or replace function audit_events_audit_events_kept_fn() returns trigger as $$ begin return null; end $$ language plpgsql',
      'set session_replication_role = replica',
      'create role another',
    ])
      await expect(sql.raw(statement).execute(database.query())).rejects.toThrow(/permission denied|must be owner/)
    await expect(database.query().deleteFrom('audit_events').execute()).rejects.toThrow('kept until kept_until')
    expect(await database.query().selectFrom('audit_events').select('event').execute()).toEqual([{ event: 'kept' }])
  })

  describe('runs the program, while another role migrates', () => {
    const project = useProject()
    const roles = async () => {
      const MIGRATION_DATABASE_URL = await freshDatabase('postgresql', true)
      return { ...environment, MIGRATION_DATABASE_URL, DATABASE_URL: await makeRole(MIGRATION_DATABASE_URL) }
    }
    const register = (address: string) =>
      fetch(`${address}${auth}/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          email: 'ada@example.com',
          password: 'correct horse battery',
          first_name: 'Ada',
          last_name: 'Lovelace',
        }),
      })

    test('in production, when the operator says so', async () => {
      const given = { ...(await roles()), NODE_ENV: 'production' }
      const upgraded = await project.app(['db', 'upgrade'], given)
      expect(upgraded).toMatchObject({ code: 0, output: expect.stringMatching(/^(applied Migration\w+\n)+$/) })
      const program = project.start(given)
      expect((await register(await program.address())).status).toBe(201)
      expect(await program.stop()).toBe(0)
      // So do the other commands of an operator.
      expect((await project.app(['keys', 'rotate'], given)).code).toBe(0)
    })

    test('in development, at the start', async () => {
      const program = project.start({ ...(await roles()), NODE_ENV: 'development' })
      expect((await register(await program.address())).status).toBe(201)
      expect(await program.stop()).toBe(0)
    })
  })
})

test('requests that wait for a lock, and those behind them for a connection, end in 503, while the server lives (ASVS 13.2.6)', async () => {
  const DATABASE_URL = await freshDatabase('postgresql')
  const api = new Api()
  await api.start('postgresql', { DATABASE_URL, DATABASE_POOL_SIZE: '2', DATABASE_TIMEOUT_SECONDS: '1' })
  const other = new pg.Client(DATABASE_URL)
  await other.connect()
  onTestFinished(async () => {
    await other.end()
    await api.stop()
  })
  await other.query('begin; lock table items')
  const waiting = Array.from({ length: 8 }, () => api.get(items))
  expect((await api.get('/health/live')).status).toBe(200)
  for (const { status, headers, body } of await Promise.all(waiting)) {
    expect([status, body.code, body.message]).toEqual([503, 'unavailable', 'The database is not available right now'])
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
  }
  await other.query('rollback')
  expect((await api.get(items)).status).toBe(200)
})

describe('the connection to PostgreSQL is as safe as sslmode in its URL says (ASVS 12.3.1, 12.3.2)', () => {
  // Of this test alone: for 127.0.0.1, until 2126, signed by nobody but itself.
  const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6N4UcgzuWRwasHG1
s+kBrjt7K1I9hPld0ccccS0yLAyhRANCAATS9yd239pq1VkvjcuHZ/QL8nbTbagx
xX9igkPB5wSgaNW+GLEkoyeIuju6spFST7J7CfTEpaeDGy0Pv5IyoZuQ
-----END PRIVATE KEY-----`
  const cert = `-----BEGIN CERTIFICATE-----
MIIBkTCCATagAwIBAgIUVSwQqLk/l9xvAmYjP1yUOv8hDk0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzA1MDc0OFoYDzIxMjYxMDMw
MDUwNzQ4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATS9yd239pq1VkvjcuHZ/QL8nbTbagxxX9igkPB5wSgaNW+GLEkoyeI
uju6spFST7J7CfTEpaeDGy0Pv5IyoZuQo2QwYjAdBgNVHQ4EFgQUjPzqhjoSlAl2
lvY1u/QyLec0DbMwHwYDVR0jBBgwFoAUjPzqhjoSlAl2lvY1u/QyLec0DbMwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0kAMEYC
IQDqpkAEP/1SvGsUJxKo1INwqjZZwJP7k+roSoayN1gOhgIhAPgMCkU2sGstdDTD
uLuPnuDgxo/Q6q73Ca3tfMmGPbXR
-----END CERTIFICATE-----`
  const sslRequest = '0000000804d2162f'

  /**
   * A server that speaks TLS to who asks for it, or will not, and hangs up after the first word.
   * Gives what came in the clear and what under TLS, as text, and how asking it ended.
   */
  async function ask(parameters: string, hasTls: boolean) {
    const heard = { clear: '', secret: '' }
    const over = Promise.withResolvers<void>()
    const server = createServer((socket: Socket) => {
      socket.on('error', () => {}).on('close', over.resolve)
      socket.once('data', (first: Buffer) => {
        if (first.toString('hex') !== sslRequest) {
          heard.clear += first.toString('latin1')
          socket.destroy()
          return
        }
        if (!hasTls) {
          socket.write('N')
          socket.on('data', (more: Buffer) => void (heard.clear += more.toString('latin1')))
          return
        }
        socket.write('S')
        const tls = new TLSSocket(socket, { isServer: true, key, cert })
        tls.on('error', () => {})
        tls.on('data', (word: Buffer) => {
          heard.secret += word.toString('latin1')
          tls.destroy()
        })
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const url = `postgresql://ada:canary@127.0.0.1:${port}/app${parameters}`
    const database = openDatabase(settings({ DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: '2' }))
    const ended = await database.ping().catch((error: { code: string }) => error.code)
    await database.close()
    // Whatever was on its way has been heard.
    await over.promise
    server.close()
    return { ...heard, ended }
  }

  test.for(['require', 'verify-ca', 'verify-full'])('%s says nothing to a server without TLS', async (mode) => {
    expect(await ask(`?sslmode=${mode}`, false)).toEqual({ clear: '', secret: '', ended: 'unavailable' })
  })

  test('verify-full says nothing to a server that nobody vouches for', async () => {
    expect(await ask('?sslmode=verify-full', true)).toEqual({ clear: '', secret: '', ended: 'unavailable' })
  })

  test('verify-full talks under TLS to one whose certificate is trusted', async () => {
    const file = join(inject('sqlite'), `${randomUUID()}.pem`)
    writeFileSync(file, cert)
    const { clear, secret } = await ask(`?sslmode=verify-full&sslrootcert=${encodeURIComponent(file)}`, true)
    expect(clear).toBe('')
    expect(secret).toContain('user\0ada\0database\0app')
  })

  test('without sslmode it is in the clear: that is for a network of your own', async () => {
    const { clear } = await ask('', true)
    expect(clear).toContain('user\0ada\0database\0app')
  })
})
