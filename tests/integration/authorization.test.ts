import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { seed, seededPassword } from '../../src/db/seed.ts'
import { Api, useApi } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { environment, settings } from '../support/settings.ts'

interface Tokens {
  access_token: string
  refresh_token: string
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object

/** The same access token with another header or other claims, signed again. */
function resign(token: string, changes: { header?: object; claims?: object }, key = environment.JWT_SECRET_KEY) {
  const [header, claims] = token.split('.').map((part, index) => (index < 2 ? decode(part) : {}))
  const text = `${encode({ ...header, ...changes.header })}.${encode({ ...claims, ...changes.claims })}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

const now = () => Math.floor(Date.now() / 1000)

onEachDatabase((kind) => {
  const api = useApi(kind)
  beforeAll(() => seed(api.database, createPasswords(settings())))
  const profile = (token?: string) => api.get('/api/v1/users/me', token === undefined ? {} : { token })

  describe('an access token', () => {
    test('is asked for by a challenge without an error (RFC 6750 §3.1)', async () => {
      const { status, headers, body } = await profile()
      expect([status, body.code]).toEqual([401, 'unauthorized'])
      expect(headers.get('www-authenticate')).toBe('Bearer realm="api"')
    })

    test('that is bad is answered by a challenge that says so (RFC 6750 §3.1)', async () => {
      const { status, headers, body } = await profile('garbage')
      expect([status, body.code]).toEqual([401, 'invalid_token'])
      expect(headers.get('www-authenticate')).toContain('error="invalid_token"')
    })

    test('that has expired is told from a bad one', async () => {
      const { access_token } = await api.account()
      expect((await profile(resign(access_token, {}))).status).toBe(200)
      const { status, headers, body } = await profile(resign(access_token, { claims: { exp: now() - 60 } }))
      expect([status, body.code]).toEqual([401, 'token_expired'])
      expect(headers.get('www-authenticate')).toContain('error="invalid_token"')
    })

    test('cannot be forged: whatever its header says, our key and our algorithm count (RFC 8725 §3.1, ASVS 9.1.2)', async () => {
      const { access_token } = await api.account()
      const [, claims, signature] = access_token.split('.')
      const bad = [
        `${encode({ alg: 'none', typ: 'at+jwt' })}.${claims}.`,
        `${encode({ alg: 'NonE', typ: 'at+jwt' })}.${claims}.${signature}`,
        access_token.slice(0, -signature!.length),
        resign(access_token, { header: { alg: 'HS512' } }),
        resign(access_token, { header: { typ: 'JWT' } }),
        resign(access_token, { header: { kid: '../../dev/null' } }, ''),
        resign(access_token, { claims: { sub: '1' } }),
        resign(access_token, { claims: { iat: now() + 60 } }),
        resign(access_token, { claims: { aud: undefined } }),
      ]
      const replies = await Promise.all(bad.map(profile))
      expect(replies.map(({ body }) => body.code)).toEqual(bad.map(() => 'invalid_token'))
    })

    test('makes the server call no one, although it names an address for its key', async () => {
      let calls = 0
      const listener = createServer((socket) => {
        calls++
        socket.destroy()
      }).listen(0, '127.0.0.1')
      await once(listener, 'listening')
      onTestFinished(() => void listener.close())
      const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/key`
      const { access_token } = await api.account()
      for (const name of ['jku', 'x5u', 'kid']) {
        const token = resign(access_token, { header: { [name]: url } }, 'a key of the attacker')
        expect((await profile(token)).body.code).toBe('invalid_token')
      }
      expect(calls).toBe(0)
    })

    test('of someone else cannot be carried over to another session', async () => {
      const [ada, eve] = [await api.account(), await api.account()]
      const { sub } = decode(ada.access_token.split('.')[1]!) as { sub: string }
      expect((await profile(resign(eve.access_token, { claims: { sub } }))).status).toBe(401)
    })

    test('and a refresh token cannot stand for each other (RFC 8725 §3.12)', async () => {
      const { access_token, refresh_token } = await api.account()
      expect((await profile(refresh_token)).body.code).toBe('invalid_token')
      const { status, body } = await api.post('/api/v1/auth/refresh', { refresh_token: access_token })
      expect([status, body.code]).toEqual([401, 'invalid_token'])
    })

    test('is never taken from the URL or a cookie, nor logged from there (ASVS 14.2.1)', async () => {
      const { access_token } = await api.account()
      for (const name of ['access_token', 'token', 'authorization'])
        expect((await api.get(`/api/v1/users/me?${name}=${access_token}`)).body.code).toBe('unauthorized')
      const cookie = { cookie: `access_token=${access_token}` }
      expect((await api.get('/api/v1/users/me', { headers: cookie })).body.code).toBe('unauthorized')
      expect(JSON.stringify(api.log)).not.toContain(access_token)
    })

    test('is checked where it is optional, too', async () => {
      const { access_token: token } = await api.account()
      expect((await api.get('/api/v1/items')).status).toBe(200)
      expect((await api.get('/api/v1/items', { token })).status).toBe(200)
      expect((await api.get('/api/v1/items', { token: 'garbage' })).body.code).toBe('invalid_token')
    })
  })

  test('after a change of both keys, tokens of the previous ones stay good, and new ones are made with the new (ASVS 11.2.2)', async () => {
    const DATABASE_URL = await freshDatabase(kind)
    const keys = { SECRET_KEY: 'the first of 32 bytes or more; A', JWT_SECRET_KEY: 'the first of 32 bytes or more; B' }
    const newKeys = {
      SECRET_KEY: 'the second of 32 bytes or more; A',
      SECRET_KEY_PREVIOUS: keys.SECRET_KEY,
      JWT_SECRET_KEY: 'the second of 32 bytes or more; B',
      JWT_SECRET_KEY_PREVIOUS: keys.JWT_SECRET_KEY,
    }
    const [before, after] = [new Api(), new Api()]
    await before.start(kind, { DATABASE_URL, ...keys })
    await after.start(kind, { DATABASE_URL, ...newKeys })
    onTestFinished(async () => void (await Promise.all([before.stop(), after.stop()])))
    const use = (server: Api, { access_token: token, refresh_token }: Tokens) =>
      Promise.all([server.get('/api/v1/users/me', { token }), server.post('/api/v1/auth/refresh', { refresh_token })])

    const [read, renewed] = await use(after, await before.account())
    expect([read.status, renewed.status]).toEqual([200, 200])
    expect((await use(after, renewed.body.data)).map(({ status }) => status)).toEqual([200, 200])
    expect((await use(before, renewed.body.data)).map(({ status }) => status)).toEqual([401, 401])
  })

  describe('an item', () => {
    const signIn = async (email: string, password: string) =>
      (await api.post('/api/v1/auth/login', { email, password })).body.data.access_token as string
    const make = async (token: string) =>
      (await api.post('/api/v1/items', { name: 'Mine' }, { token })).headers.get('location')!
    const rowOf = (path: string) =>
      api.database
        .query()
        .selectFrom('items')
        .where('public_id', '=', path.split('/').at(-1)!)
        .select(['name', 'is_deleted'])
        .executeTakeFirstOrThrow()
    /** The statuses of a change and of a deletion. */
    const attempt = async (path: string, token: string) => [
      (await api.patch(path, { name: 'Changed' }, { token })).status,
      (await api.delete(path, { token })).status,
    ]

    test('may be changed and deleted by its owner', async () => {
      const { access_token } = await api.account()
      const path = await make(access_token)
      expect(await attempt(path, access_token)).toEqual([200, 200])
      expect(await rowOf(path)).toEqual({ name: 'Changed', is_deleted: true })
    })

    test('may be read and not touched by another user (ASVS 8.2.2)', async () => {
      const path = await make((await api.account()).access_token)
      const { access_token } = await api.account()
      expect((await api.get(path, { token: access_token })).status).toBe(200)
      expect(await attempt(path, access_token)).toEqual([403, 403])
      expect((await api.delete(path, { token: access_token })).body.code).toBe('forbidden')
      expect(await rowOf(path)).toEqual({ name: 'Mine', is_deleted: false })
    })

    test('may not be touched by a stranger', async () => {
      const path = await make((await api.account()).access_token)
      expect((await api.patch(path, { name: 'Changed' })).body.code).toBe('unauthorized')
      expect((await api.delete(path)).body.code).toBe('unauthorized')
      expect(await rowOf(path)).toEqual({ name: 'Mine', is_deleted: false })
    })

    test.for(['moderator', 'admin', 'super_admin'] as const)('may be changed and deleted by a %s', async (role) => {
      const owner = await api.account()
      const path = await make(owner.access_token)
      const { email, access_token } = await api.account()
      await api.promote(email, role)
      expect((await api.patch(path, { name: 'Moderated' }, { token: access_token })).body.data.owner_id).toBe(
        (await profile(owner.access_token)).body.data.public_id,
      )
      expect(await attempt(path, access_token)).toEqual([200, 200])
    })

    test('of nobody, as the seed makes them, is for holders of the permission alone', async () => {
      const { items } = (await api.get('/api/v1/items/search?q=Try the API')).body.data
      expect(items).toHaveLength(1)
      expect(items[0].owner_id).toBeNull()
      const path = `/api/v1/items/${items[0].public_id}`
      expect(await attempt(path, await signIn('user@example.com', seededPassword))).toEqual([403, 403])
      expect(await rowOf(path)).toEqual({ name: 'Try the API', is_deleted: false })
      expect(await attempt(path, await signIn('admin@example.com', seededPassword))).toEqual([200, 200])
    })

    test('is out of reach from the very next request on, when a role is taken away (ASVS 8.3.2)', async () => {
      const path = await make((await api.account()).access_token)
      const { email, access_token: token } = await api.account()
      const rename = async () => (await api.patch(path, { name: 'Changed' }, { token })).status
      expect(await rename()).toBe(403)
      await api.promote(email, 'moderator')
      expect(await rename()).toBe(200)
      await api.database.query().updateTable('users').set({ role: 'user' }).where('email', '=', email).execute()
      expect(await rename()).toBe(403)
      // The token itself says what the role was when it was signed; that is not believed.
      expect(await attempt(path, resign(token, { claims: { role: 'super_admin' } }))).toEqual([403, 403])
    })
  })
})
