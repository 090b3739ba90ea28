import { createHmac, randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import { createRefreshTokens } from '../../src/core/security/refresh-tokens.ts'
import { useApi, type Account } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { idOf, rowOf } from '../support/sessions.ts'
import { environment, settings } from '../support/settings.ts'

const auth = '/api/v1/auth'
const me = '/api/v1/users/me'
const items = '/api/v1/items'
const otherFernetKey = 'D7favuAZ-p0P4LxVUUXi0gMhbl_SeIX3qdr-ZzKVzjk='

const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

onEachDatabase((kind) => {
  const api = useApi(kind)
  const profile = async (token: string) => (await api.get(me, { token })).body
  const refresh = async (refresh_token: string) => (await api.post(`${auth}/refresh`, { refresh_token })).body
  const isAlive = async ({ access_token: token }: Account) => (await api.get(me, { token })).status === 200

  describe('one kind of token is never taken for another (RFC 8725 §3.12, ASVS 9.2.2)', () => {
    test('a refresh token is no Bearer token, where one is asked for and where one may be sent', async () => {
      const account = await api.account()
      for (const path of [me, `${auth}/sessions`, items, `${items}/search?q=a`]) {
        const { status, headers, body } = await api.get(path, { token: account.refresh_token })
        expect([status, body.code]).toEqual([401, 'invalid_token'])
        expect(headers.get('www-authenticate')).toContain('error="invalid_token"')
      }
      expect(await rowOf(api, account)).toMatchObject({ gen: 0, revoked_at: null })
    })

    test('an access token refreshes nothing', async () => {
      const account = await api.account()
      expect((await refresh(account.access_token)).code).toBe('invalid_token')
      expect(await rowOf(api, account)).toMatchObject({ gen: 0, revoked_at: null })
    })

    test('an access token signs nobody out', async () => {
      const account = await api.account()
      expect((await api.post(`${auth}/logout`, { refresh_token: account.access_token })).status).toBe(200)
      expect(await isAlive(account)).toBe(true)
    })

    test('a refresh token beside a good access token is not what counts, nor the reverse', async () => {
      const [one, other] = [await api.account(), await api.account()]
      const headers = { authorization: `Bearer ${other.access_token}` }
      const { body } = await api.post(`${auth}/refresh`, { refresh_token: one.refresh_token }, { headers })
      const { body: sessions } = await api.get(`${auth}/sessions`, { token: body.data.access_token })
      expect(sessions.data.map(({ public_id }: { public_id: string }) => public_id)).toEqual([idOf(one)])
    })

    test('a value that was encrypted for the database is no token at all', async () => {
      const account = await api.account()
      const { rows } = await sql<{ ip: string }>`select ip from sessions where public_id = ${idOf(account)}`.execute(
        api.database.query(),
      )
      expect(rows[0]!.ip).toMatch(/^gAAAAA/)
      expect((await profile(rows[0]!.ip)).code).toBe('invalid_token')
      expect((await refresh(rows[0]!.ip)).code).toBe('invalid_token')
    })

    test('a JWT of another type or purpose is no access token, though our key has signed it', async () => {
      const { access_token } = await api.account()
      const [header, claims] = access_token
        .split('.')
        .slice(0, 2)
        .map((part) => decode(part)) as [object, object]
      const sign = (changedHeader: object, changedClaims: object) => {
        const signed = `${encode({ ...header, ...changedHeader })}.${encode({ ...claims, ...changedClaims })}`
        return `${signed}.${createHmac('sha256', environment.JWT_SECRET_KEY).update(signed).digest('base64url')}`
      }
      expect((await profile(sign({}, {}))).success).toBe(true)
      for (const typ of ['JWT', 'refresh+jwt', 'verify-email+jwt', 'at+JWT2', '', undefined])
        expect((await profile(sign({ typ }, {}))).code).toBe('invalid_token')
      expect((await profile(sign({}, { aud: 'verify-email' }))).code).toBe('invalid_token')
    })
  })

  test('the key of one kind of token makes none of the other (ASVS 9.1.3)', async () => {
    const account = await api.account()
    const { sub, sid, gen } = decode(account.access_token.split('.')[1]!) as { sub: string; sid: string; gen: number }
    const { SECRET_KEY, JWT_SECRET_KEY, ENCRYPTION_KEY } = environment
    // The right key id over the wrong key, and the wrong one altogether.
    const keyId = decode(account.access_token.split('.')[0]!)['kid']
    for (const key of [SECRET_KEY, ENCRYPTION_KEY]) {
      const foreign = createAccessTokens(
        settings({ JWT_SECRET_KEY: key, SECRET_KEY: JWT_SECRET_KEY, ENCRYPTION_KEY: otherFernetKey }),
      )
      const token = foreign.sign({ sub, sid, gen, role: 'super_admin' })
      const [, claims] = token.split('.')
      const signed = `${encode({ alg: 'HS256', typ: 'at+jwt', kid: keyId })}.${claims}`
      const renamed = `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
      expect([(await profile(token)).code, (await profile(renamed)).code]).toEqual(['invalid_token', 'invalid_token'])
    }
    for (const key of [JWT_SECRET_KEY, ENCRYPTION_KEY]) {
      const foreign = createRefreshTokens(
        settings({ SECRET_KEY: key, JWT_SECRET_KEY: SECRET_KEY, ENCRYPTION_KEY: otherFernetKey }),
      )
      expect((await refresh(foreign.sign({ sid, gen }))).code).toBe('invalid_token')
    }
    expect(await isAlive(account)).toBe(true)
  })

  test('a token of a session that never was is refused, though it is signed with our keys', async () => {
    await api.account()
    const config = settings()
    const [sub, sid] = [randomUUID(), randomUUID()]
    expect((await profile(createAccessTokens(config).sign({ sub, sid, gen: 0, role: 'admin' }))).code).toBe(
      'invalid_token',
    )
    expect((await refresh(createRefreshTokens(config).sign({ sid, gen: 0 }))).code).toBe('invalid_token')
  })

  describe('what an operator does to an account counts from the next request on (ASVS 7.4.2, 8.3.2)', () => {
    const change = ({ email }: Account, changes: object) =>
      api.database.query().updateTable('users').set(changes).where('email', '=', email).execute()

    test.for([
      ['deactivating', { is_active: false }],
      ['deleting', { deleted_at: '2026-01-01T00:00:00.000Z' }],
    ] as const)('%s it shuts out the tokens there are, and no new ones are made', async ([, changes]) => {
      const account = await api.account()
      expect(await isAlive(account)).toBe(true)
      await change(account, changes)
      const { access_token: token, refresh_token, email, password } = account
      for (const path of [me, `${auth}/sessions`, items]) expect((await api.get(path, { token })).status).toBe(401)
      expect((await api.post(items, { name: 'Too late' }, { token })).status).toBe(401)
      expect((await api.post(`${auth}/logout-all`, undefined, { token })).status).toBe(401)
      expect((await refresh(refresh_token)).code).toBe('invalid_token')
      expect((await api.post(`${auth}/login`, { email, password })).body.code).toBe('invalid_credentials')
    })

    test('another role is the role at once, and the token need not be renewed', async () => {
      const account = await api.account()
      const role = async () => (await profile(account.access_token)).data.role as string
      expect(await role()).toBe('user')
      await change(account, { role: 'admin' })
      expect(await role()).toBe('admin')
      await change(account, { role: 'user' })
      expect(await role()).toBe('user')
    })

    test('ending a session by hand ends its tokens', async () => {
      const account = await api.account()
      const ended = { revoked_at: api.database.clock(), revoke_reason: 'revoked' as const }
      await api.database.query().updateTable('sessions').set(ended).where('public_id', '=', idOf(account)).execute()
      expect(await isAlive(account)).toBe(false)
      expect((await refresh(account.refresh_token)).code).toBe('invalid_token')
    })
  })
})
