import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'
import { version } from '../../src/core/version.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { Api, useApi } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const items = '/api/v1/items'

/** Another client of a database, for one test. */
function connectTo(url: string): Database {
  const database = openDatabase(settings({ DATABASE_URL: url }))
  onTestFinished(() => database.close())
  return database
}

describe('the health check of the container', () => {
  const api = useApi('sqlite')
  const check = promisify(execFile)
  const ask = (environment: Record<string, string>) =>
    check(process.execPath, ['src/healthcheck.ts'], { cwd: projectRoot, env: environment }).then(
      () => 0,
      ({ code }: { code: number }) => code,
    )

  test('is 0 where a server is ready, whichever addresses it listens on, and 1 where none is', async () => {
    const { port } = new URL(api.address)
    const codes = ['', ' 127.0.0.1', '0.0.0.0'].map((HOST) => ask({ HOST, PORT: port }))
    expect(await Promise.all([...codes, ask({ PORT: '1' })])).toEqual([0, 0, 0, 1])
  })
})

onEachDatabase((kind) => {
  describe('a server with its database', () => {
    const api = new Api()
    let url: string
    beforeAll(async () => {
      url = await freshDatabase(kind)
      await api.start(kind, { DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: '1' })
    })
    afterAll(() => api.stop())

    test('says that it runs, lives and is ready', async () => {
      expect((await api.get('/health')).body).toEqual({
        success: true,
        data: { status: 'healthy', version, uptime_seconds: expect.any(Number) },
        timestamp: expect.any(String),
      })
      expect(await api.get('/health/live')).toMatchObject({ status: 200, body: { data: { status: 'live' } } })
      expect(await api.get('/health/ready')).toMatchObject({ status: 200, body: { data: { status: 'ready' } } })
    })

    test('answers 503 when it does not get a lock in time, and the same request succeeds later', async () => {
      const { access_token: token } = await api.account()
      const { headers } = await api.post(items, { name: 'A thing' }, { token })
      const change = () => api.patch(headers.get('location')!, { name: 'Another' }, { token })

      const other = connectTo(url)
      await other.transaction(async () => {
        await other.query().updateTable('items').set({ priority: 5 }).execute()
        const refused = await change()
        expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } })
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
      })
      expect((await change()).body.data).toMatchObject({ name: 'Another', priority: 5 })
    })

    test('tells the client nothing of an unforeseen fault, and the log everything', async () => {
      await sql`alter table items rename to hidden`.execute(api.database.query())
      const { status, body } = await api.get(items, { headers: { 'x-request-id': 'the-broken-one' } })
      await sql`alter table hidden rename to items`.execute(api.database.query())
      expect(status).toBe(500)
      expect(body).toEqual({
        success: false,
        message: 'An unexpected error occurred',
        code: 'internal_error',
        request_id: 'the-broken-one',
        timestamp: expect.any(String),
      })
      const err = { message: expect.stringContaining('items'), stack: expect.stringContaining('item.service.ts') }
      expect(api.log).toContainEqual(
        expect.objectContaining({ level: 'error', request_id: 'the-broken-one', err: expect.objectContaining(err) }),
      )
      expect((await api.get(items)).status).toBe(200)
    })
  })

  describe('a server whose database is away', () => {
    const absent = { sqlite: 'sqlite:////no-such-folder/app.db', postgresql: 'postgresql://postgres@127.0.0.1:1/app' }
    const api = useApi(kind, { DATABASE_URL: absent[kind] })

    test('lives', async () => {
      expect((await api.get('/health/live')).status).toBe(200)
      expect((await api.get('/health')).status).toBe(200)
    })

    test.for(['/health/ready', items])('answers 503 to %s, and says when to come back', async (path) => {
      const { status, headers, body } = await api.get(path)
      expect(status).toBe(503)
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
      expect(body).toMatchObject({ code: 'unavailable', message: 'The database is not available right now' })
    })
  })
})

test('a stopping server is not ready, and still answers', async () => {
  const api = new Api()
  await api.start('sqlite')
  onTestFinished(() => api.stop())
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = async (path: string) => {
    const request = httpRequest(api.address + path, { agent }).end()
    const [reply] = (await once(request, 'response')) as [IncomingMessage]
    return { status: reply.statusCode, headers: reply.headers, body: await json(reply) }
  }
  await ask('/health/live')
  const stopped = api.app.close()
  expect(await ask('/health/ready')).toMatchObject({
    status: 503,
    headers: { connection: 'close', 'retry-after': '1' },
    body: { code: 'unavailable' },
  })
  await stopped
  agent.destroy()
})

test('a server is not ready while PostgreSQL lets nobody in, and then it is', async () => {
  const url = await freshDatabase('postgresql')
  const api = new Api()
  await api.start('postgresql', { DATABASE_URL: url })
  onTestFinished(() => api.stop())
  const server = connectTo(inject('postgresql'))
  const name = new URL(url).pathname.slice(1)
  const allow = (allowed: boolean) =>
    sql`alter database ${sql.id(name)} with allow_connections ${sql.raw(String(allowed))}`.execute(server.query())

  await allow(false)
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`.execute(server.query())
  await vi.waitFor(async () => expect((await api.get('/health/ready')).status).toBe(503))
  expect((await api.get(items)).status).toBe(503)
  expect((await api.get('/health/live')).status).toBe(200)
  await allow(true)
  expect((await api.get('/health/ready')).status).toBe(200)
  expect((await api.get(items)).status).toBe(200)
})
