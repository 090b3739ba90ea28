import { describe, expect, test } from 'vitest'
import { createLogger } from '../../src/core/logging.ts'
import type { Database } from '../../src/db/database.ts'
import { createServices } from '../../src/wiring.ts'
import { useApi, type Account } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

onEachDatabase((kind) => {
  const api = useApi(kind)
  const path = '/api/v1/users/me'

  const login = ({ email }: Account, password: string) => api.post('/api/v1/auth/login', { email, password })
  const rowOf = ({ email }: Account) =>
    api.database.query().selectFrom('users').selectAll().where('email', '=', email).executeTakeFirstOrThrow()
  const sessionsOf = (account: Account) =>
    api.database
      .query()
      .selectFrom('sessions')
      .innerJoin('users', 'users.id', 'sessions.user_id')
      .where('email', '=', account.email)
      .select(['sessions.public_id', 'revoke_reason'])
      .orderBy('sessions.id')
      .execute()
  const status = async (token: string) => (await api.get(path, { token })).status

  describe('the profile', () => {
    test('holds the fields of the schema and no others (ASVS 15.3.1)', async () => {
      const { access_token: token } = await api.account()
      const { status: code, headers, body } = await api.get(path, { token })
      expect([code, headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(Object.keys(body.data)).toEqual([
        'public_id',
        'email',
        'first_name',
        'last_name',
        'role',
        'is_active',
        'is_verified',
        'created_at',
        'updated_at',
      ])
    })

    test('a change is trimmed, touches what was sent alone, and stays', async () => {
      const account = await api.account()
      const token = account.access_token
      await api.database
        .query()
        .updateTable('users')
        .set({ updated_at: api.database.clock(-60) })
        .where('email', '=', account.email)
        .execute()
      const before = (await api.get(path, { token })).body.data
      const { status: code, body } = await api.patch(path, { first_name: '\t Augusta  Ada ' }, { token })
      expect(code).toBe(200)
      expect(body.data).toEqual({ ...before, first_name: 'Augusta  Ada', updated_at: expect.any(String) })
      expect(Date.parse(body.data.updated_at)).toBeGreaterThan(Date.parse(before.updated_at))
      expect((await api.get(path, { token })).body.data).toEqual(body.data)
    })

    test('an empty change changes nothing', async () => {
      const { access_token: token } = await api.account()
      const before = (await api.get(path, { token })).body.data
      expect((await api.patch(path, {}, { token })).body.data).toEqual(before)
    })

    test.for([null, '', '   ', 'x'.repeat(101), 7, ['Ada'], 'A\0da'])(
      'a first name cannot be %j',
      async (first_name) => {
        const account = await api.account()
        const { status: code, body } = await api.patch(path, { first_name }, { token: account.access_token })
        expect([code, body.code, body.errors[0].field]).toEqual([400, 'validation_error', 'first_name'])
        expect((await rowOf(account)).first_name).toBe('Ada')
      },
    )

    test("what is not the owner's to set is refused by name, and nothing is set (ASVS 15.3.3)", async () => {
      const account = await api.account()
      const before = await rowOf(account)
      const forbidden = {
        role: 'admin',
        is_verified: true,
        is_active: false,
        email: 'x@example.com',
        public_id: '1',
        id: 1,
      }
      const { status: code, body } = await api.patch(
        path,
        { first_name: 'Eve', ...forbidden },
        { token: account.access_token },
      )
      expect([code, body.code]).toEqual([400, 'validation_error'])
      expect(body.errors.map(({ field }: { field: string }) => field)).toEqual(Object.keys(forbidden))
      expect(await rowOf(account)).toEqual(before)
    })

    test('asks for a token', async () => {
      expect((await api.get(path)).body.code).toBe('unauthorized')
      expect((await api.patch(path, { first_name: 'Eve' })).body.code).toBe('unauthorized')
    })
  })

  describe('changing the password', () => {
    const change = (account: Account, old_password: string, new_password: string) =>
      api.post(`${path}/password`, { old_password, new_password }, { token: account.access_token })

    test('ends every session but this one, and from then on the new one counts', async () => {
      const account = await api.account()
      const elsewhere = (await login(account, account.password)).body.data
      const before = await rowOf(account)
      expect((await change(account, account.password, 'a new password')).status).toBe(200)

      expect(await status(account.access_token)).toBe(200)
      expect(await status(elsewhere.access_token)).toBe(401)
      expect((await sessionsOf(account)).map(({ revoke_reason }) => revoke_reason)).toEqual([null, 'password_change'])
      const refreshed = await api.post('/api/v1/auth/refresh', { refresh_token: account.refresh_token })
      expect(refreshed.status).toBe(200)

      expect((await login(account, account.password)).status).toBe(401)
      expect((await login(account, 'a new password')).status).toBe(200)
      const after = await rowOf(account)
      expect(Date.parse(after.password_changed_at)).toBeGreaterThan(Date.parse(before.password_changed_at))
      expect(
        api.log.filter((line) => line['event'] === 'password.changed' && line['user'] === after.public_id),
      ).toHaveLength(1)
    })

    test('with a wrong old password is refused and changes nothing', async () => {
      const account = await api.account()
      const elsewhere = (await login(account, account.password)).body.data
      const before = await rowOf(account)
      const { status: code, body } = await change(account, 'not the password', 'a new password')
      expect([code, body.code]).toEqual([401, 'invalid_credentials'])
      expect(await rowOf(account)).toEqual(before)
      expect(await status(elsewhere.access_token)).toBe(200)
    })

    test('refuses a new one that breaks the rules', async () => {
      const account = await api.account({ email: 'careful@example.com' })
      for (const weak of ['seven77', 'x'.repeat(129), 'iloveyou', 'Careful@Example.com']) {
        const { status: code, body } = await change(account, account.password, weak)
        expect([code, body.errors[0].field]).toEqual([400, 'new_password'])
      }
      expect((await login(account, account.password)).status).toBe(200)
    })

    test('a sign-in at the same moment leaves no session of the old password behind', async () => {
      const account = await api.account()
      let password = account.password
      for (const next of ['the second password', 'the third password']) {
        const [changed, ...logins] = await Promise.all([
          change(account, password, next),
          ...Array.from({ length: 6 }, () => login(account, password)),
        ])
        expect(changed.status).toBe(200)
        for (const { body } of logins.filter(({ status: code }) => code === 200))
          expect(await status(body.data.access_token)).toBe(401)
        const live = (await sessionsOf(account)).filter(({ revoke_reason }) => revoke_reason === null)
        expect(live.map(({ public_id }) => public_id)).toEqual([account.refresh_token.split('.')[2]])
        password = next
      }
    })

    test('right after a sign-in has verified the old one keeps that sign-in out', async () => {
      const account = await api.account()
      const { email, password } = account
      // A sign-in opens its transaction once the password is verified: this one comes a moment too late.
      const transaction: Database['transaction'] = async (work) => {
        await change(account, password, 'a new password')
        return api.database.transaction(work)
      }
      const config = settings({ LOG_LEVEL: 'silent' })
      const { auth } = createServices(config, { ...api.database, transaction }, await createLogger(config))
      const client = { request_id: 'late', ip: '127.0.0.1', user_agent: null }
      await expect(auth.login({ email, password }, client)).rejects.toMatchObject({ code: 'invalid_credentials' })
      expect(await sessionsOf(account)).toHaveLength(1)
    })

    test('of several changes at once, one wins', async () => {
      const account = await api.account()
      const wishes = ['the first wish', 'the second wish', 'the third wish']
      const replies = await Promise.all(wishes.map((wish) => change(account, account.password, wish)))
      expect(replies.filter(({ body }) => body.code === 'invalid_credentials')).toHaveLength(2)
      const winner = wishes[replies.findIndex(({ status: code }) => code === 200)]!
      expect((await login(account, winner)).status).toBe(200)
    })
  })

  describe('deactivating the account', () => {
    test('ends every session at once, this one included, and nobody can sign in (ASVS 7.4.2)', async () => {
      const account = await api.account()
      const elsewhere = (await login(account, account.password)).body.data
      const { status: code } = await api.post(`${path}/deactivate`, undefined, { token: account.access_token })
      expect(code).toBe(200)

      for (const { access_token: token, refresh_token } of [account, elsewhere]) {
        expect(await status(token)).toBe(401)
        expect((await api.post('/api/v1/items', { name: 'A late item' }, { token })).status).toBe(401)
        expect((await api.post('/api/v1/auth/refresh', { refresh_token })).status).toBe(401)
      }
      expect((await login(account, account.password)).body.code).toBe('invalid_credentials')
      expect((await rowOf(account)).is_active).toBe(false)
      expect((await sessionsOf(account)).map(({ revoke_reason }) => revoke_reason)).toEqual([
        'deactivated',
        'deactivated',
      ])
    })

    test('keeps the e-mail taken', async () => {
      const account = await api.account()
      await api.post(`${path}/deactivate`, undefined, { token: account.access_token })
      await expect(api.account({ email: account.email })).rejects.toThrow('409')
    })

    test('a sign-in at the same moment leaves no session behind', async () => {
      const account = await api.account()
      const verifying = Array.from({ length: 4 }, () => login(account, account.password))
      await Promise.all([...verifying, api.post(`${path}/deactivate`, undefined, { token: account.access_token })])
      expect((await sessionsOf(account)).filter(({ revoke_reason }) => revoke_reason === null)).toEqual([])
    })
  })
})
