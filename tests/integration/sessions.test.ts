import { describe, expect, test } from 'vitest'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { idOf, rowOf } from '../support/sessions.ts'

interface Tokens {
  access_token: string
  refresh_token: string
}

onEachDatabase((kind) => {
  const api = useApi(kind)
  const path = '/api/v1/auth'

  const login = async ({ email, password }: { email: string; password: string }, agent = 'a browser') => {
    const headers = { 'user-agent': agent }
    return (await api.post(`${path}/login`, { email, password }, { headers })).body.data as Tokens
  }
  const logout = (refresh_token: unknown) => api.post(`${path}/logout`, { refresh_token })
  const list = async ({ access_token }: Tokens) =>
    (await api.get(`${path}/sessions`, { token: access_token })).body.data as Record<string, string>[]
  const revocations = (tokens: Tokens) =>
    api.log.filter(({ event, session }) => event === 'session.revoked' && session === idOf(tokens))

  /** The status of an authenticated request, and of a refresh. */
  async function answers(tokens: Tokens) {
    const profile = await api.get('/api/v1/users/me', { token: tokens.access_token })
    const refresh = await api.post(`${path}/refresh`, { refresh_token: tokens.refresh_token })
    return [profile.status, refresh.status]
  }
  const alive = [200, 200]
  const dead = [401, 401]

  describe('signing out', () => {
    test('kills the access token at once, and no other session (ASVS 7.4.1)', async () => {
      const account = await api.account()
      const elsewhere = await login(account)
      const { status, body } = await logout(account.refresh_token)
      expect([status, body.data]).toEqual([200, { message: expect.any(String) }])
      expect(await answers(account)).toEqual(dead)
      expect(await answers(elsewhere)).toEqual(alive)
      expect(await rowOf(api, account)).toMatchObject({ revoke_reason: 'logout', revoked_at: expect.any(String) })
    })

    test('works with a token that was rotated away', async () => {
      const account = await api.account()
      const next = (await api.post(`${path}/refresh`, { refresh_token: account.refresh_token })).body.data
      expect((await logout(account.refresh_token)).status).toBe(200)
      expect(await answers(next)).toEqual(dead)
    })

    test('succeeds with a dead token, which changes nothing and is no second event', async () => {
      const account = await api.account()
      await logout(account.refresh_token)
      const { revoked_at } = await rowOf(api, account)
      expect((await logout(account.refresh_token)).status).toBe(200)
      expect((await rowOf(api, account)).revoked_at).toBe(revoked_at)
      expect(revocations(account)).toHaveLength(1)
    })

    test('succeeds with garbage, and ends nothing with an access token', async () => {
      const account = await api.account()
      for (const token of ['', 'garbage', account.access_token, 'x'.repeat(100_000)])
        expect((await logout(token)).status).toBe(200)
      expect(await answers(account)).toEqual(alive)
    })

    test.for([[['a token']], [null], [7], [undefined]])('refuses %j, which is no text', async ([token]) => {
      const { status, body } = await logout(token)
      expect([status, body.errors[0].field]).toEqual([400, 'refresh_token'])
    })
  })

  describe('signing out everywhere', () => {
    test("ends the live sessions of the account, counts them, and ends nobody else's", async () => {
      const account = await api.account()
      const ended = await login(account)
      await logout(ended.refresh_token)
      const others = [await login(account), await login(account)]
      const stranger = await api.account()

      const { status, body } = await api.post(`${path}/logout-all`, undefined, { token: account.access_token })
      expect([status, body.data.tokens_revoked]).toEqual([200, 3])
      for (const tokens of [account, ...others]) {
        expect(await answers(tokens)).toEqual(dead)
        expect((await rowOf(api, tokens)).revoke_reason).toBe('logout_all')
      }
      expect((await rowOf(api, ended)).revoke_reason).toBe('logout')
      expect(await answers(stranger)).toEqual(alive)
    })

    test('leaves the account able to sign in again', async () => {
      const account = await api.account()
      await api.post(`${path}/logout-all`, undefined, { token: account.access_token })
      expect(await answers(await login(account))).toEqual(alive)
    })

    test('asks for a token', async () => {
      expect((await api.post(`${path}/logout-all`)).body.code).toBe('unauthorized')
    })
  })

  describe('the list of sessions', () => {
    test("shows one's own live ones, newest first, with the one asking marked", async () => {
      const account = await api.account()
      const phone = await login(account, 'a phone')
      const ended = await login(account)
      await logout(ended.refresh_token)
      await api.account()

      expect(await list(phone)).toEqual([
        {
          public_id: idOf(phone),
          created_at: expect.stringMatching(/Z$/),
          last_used_at: expect.stringMatching(/Z$/),
          ip: '127.0.0.1',
          user_agent: 'a phone',
          current: true,
        },
        expect.objectContaining({ public_id: idOf(account), current: false }),
      ])
      expect((await list(account)).map(({ current }) => current)).toEqual([false, true])
    })

    test('leaves out the expired ones', async () => {
      const account = await api.account()
      const idle = await login(account)
      const expired = { idle_expires_at: api.database.clock(-1) }
      await api.database.query().updateTable('sessions').set(expired).where('public_id', '=', idOf(idle)).execute()
      expect((await list(account)).map(({ public_id }) => public_id)).toEqual([idOf(account)])
    })

    test('says when a session was last refreshed', async () => {
      const account = await api.account()
      const past = api.database.clock(-3600)
      await api.database
        .query()
        .updateTable('sessions')
        .set({ rotated_at: past })
        .where('public_id', '=', idOf(account))
        .execute()
      const [before] = await list(account)
      await api.post(`${path}/refresh`, { refresh_token: account.refresh_token })
      const [after] = await list(account)
      expect(Date.parse(after!['last_used_at']!)).toBeGreaterThan(Date.parse(before!['last_used_at']!))
      expect(after!['created_at']).toBe(before!['created_at'])
    })

    test('takes a user agent of any length', async () => {
      const account = await api.account()
      const verbose = await login(account, 'x'.repeat(5000))
      expect((await list(verbose))[0]!['user_agent']).toBe('x'.repeat(400))
    })
  })

  describe('ending one session', () => {
    const end = (id: string, { access_token }: Tokens) => api.delete(`${path}/sessions/${id}`, { token: access_token })

    test('kills its tokens at once and leaves this one alone', async () => {
      const account = await api.account()
      const lost = await login(account, 'a lost phone')
      expect((await end(idOf(lost), account)).status).toBe(200)
      expect(await answers(lost)).toEqual(dead)
      expect(await answers(account)).toEqual(alive)
      expect((await rowOf(api, lost)).revoke_reason).toBe('revoked')
      expect(revocations(lost)).toHaveLength(1)
    })

    test('may be this very one', async () => {
      const account = await api.account()
      expect((await end(idOf(account), account)).status).toBe(200)
      expect(await answers(account)).toEqual(dead)
    })

    test("does not find another's, an ended or an unknown one (ASVS 8.2.2)", async () => {
      const [account, other] = [await api.account(), await api.account()]
      const ended = await login(account)
      await logout(ended.refresh_token)
      for (const id of [idOf(other), idOf(ended), '00000000-0000-4000-8000-000000000000'])
        expect((await end(id, account)).body).toMatchObject({ code: 'not_found', message: 'There is no such session' })
      expect(await answers(other)).toEqual(alive)
      expect((await rowOf(api, ended)).revoke_reason).toBe('logout')
    })

    test('refuses an id that is no UUID', async () => {
      const { status, body } = await end('1', await api.account())
      expect([status, body.errors[0].field]).toEqual([400, 'public_id'])
    })
  })
})
