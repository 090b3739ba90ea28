import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Api, useApi, type Account, type Reply } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'

const person = { password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }

/** All that a client sees of a reply, but for the ids and the times. */
function seen({ status, headers, body }: Reply) {
  const { request_id: _, timestamp: __, ...rest } = body
  return { status, headers: [...headers].filter(([name]) => !['x-request-id', 'date'].includes(name)), body: rest }
}

onEachDatabase((kind) => {
  const api = useApi(kind)
  const register = (changes: object) => api.post('/api/v1/auth/register', { ...person, ...changes })
  const login = (email: string, password = person.password) => api.post('/api/v1/auth/login', { email, password })
  const rows = (email: string) =>
    api.database.query().selectFrom('users').selectAll().where('email', '=', email).orderBy('id').execute()
  const change = (email: string, changes: { is_active: boolean } | { deleted_at: string }) =>
    api.database.query().updateTable('users').set(changes).where('email', '=', email).execute()
  const now = () => new Date().toISOString()
  const events = (event: string) => api.log.filter((line) => line['event'] === event).length

  describe('registering', () => {
    test('a new account is signed in, and its profile says what was sent', async () => {
      const { status, headers, body } = await register({ email: '  New.Person@Example.COM\n', first_name: ' Ada ' })
      expect(status).toBe(201)
      expect(headers.get('location')).toBe('/api/v1/users/me')
      expect(headers.get('cache-control')).toBe('no-store')
      expect(body.data).toMatchObject({ token_type: 'Bearer', expires_in: 900 })
      const profile = await api.get(headers.get('location')!, { token: body.data.access_token })
      expect(profile.body.data).toEqual({
        public_id: expect.stringMatching(/^[\da-f-]{36}$/),
        email: 'new.person@example.com',
        first_name: 'Ada',
        last_name: 'Lovelace',
        role: 'user',
        is_active: true,
        is_verified: false,
        created_at: expect.stringMatching(/Z$/),
        updated_at: expect.stringMatching(/Z$/),
      })
      const [row] = await rows('new.person@example.com')
      expect(row!.password_hash).toMatch(/^\$argon2id\$/)
    })

    test('an e-mail can be registered once, in whatever letter case', async () => {
      await register({ email: 'taken@example.com' })
      for (const email of ['taken@example.com', 'Taken@EXAMPLE.com']) {
        const { status, body } = await register({ email })
        expect([status, body.code, body.errors[0].field]).toEqual([409, 'conflict', 'email'])
      }
      expect(await rows('taken@example.com')).toHaveLength(1)
    })

    test('of 30 registrations of one e-mail at once, in two letter cases, one wins', async () => {
      const emails = Array.from({ length: 30 }, (_, index) => (index % 2 ? 'race@example.com' : 'Race@Example.com'))
      const replies = await Promise.all(emails.map((email) => register({ email })))
      const refused = replies.filter(({ status }) => status === 409)
      expect(replies.filter(({ status }) => status === 201)).toHaveLength(1)
      expect(refused).toHaveLength(29)
      for (const { body } of refused) expect(body.errors[0].field).toBe('email')
      const [account, ...others] = await rows('race@example.com')
      expect(others).toEqual([])
      const sessions = api.database.query().selectFrom('sessions').where('user_id', '=', account!.id).select('id')
      expect(await sessions.execute()).toHaveLength(1)
    })

    test("a soft-deleted account's e-mail can be registered again", async () => {
      await register({ email: 'again@example.com' })
      await change('again@example.com', { deleted_at: now() })
      expect((await register({ email: 'again@example.com', password: 'another password' })).status).toBe(201)
      expect((await rows('again@example.com')).map(({ is_deleted }) => is_deleted)).toEqual([true, false])
      expect((await login('again@example.com')).status).toBe(401)
      expect((await login('again@example.com', 'another password')).status).toBe(200)
    })

    test('a role or a flag cannot be set in the body (ASVS 15.3.3)', async () => {
      const { status, body } = await register({ email: 'climber@example.com', role: 'admin', is_verified: true })
      expect(status).toBe(400)
      expect(body.errors.map(({ field }: { field: string }) => field)).toEqual(['role', 'is_verified'])
      expect(await rows('climber@example.com')).toEqual([])
    })

    test('every missing field is named', async () => {
      const { status, body } = await api.post('/api/v1/auth/register', {})
      expect(status).toBe(400)
      const fields = body.errors.map(({ field }: { field: string }) => field)
      expect(fields).toEqual(['email', 'password', 'first_name', 'last_name'])
    })
  })

  describe('passwords', () => {
    test.for([
      ['of 7 characters, though of 14 UTF-16 units (ASVS 6.2.1)', '😀'.repeat(7)],
      ['of 129 characters', 'long'.repeat(32) + '!'],
      ['that is common (ASVS 6.2.4)', 'Password1'],
      ['that is the e-mail (ASVS 6.2.11)', 'Strict.Person@example.com'],
      ['that is the local part of the e-mail', 'strict.person'],
      ['that is the name of the application', 'typescript backend template'],
    ])('one %s is refused', async ([, password]) => {
      const { status, body } = await register({ email: 'strict.person@example.com', password })
      expect([status, body.code, body.errors[0].field]).toEqual([400, 'validation_error', 'password'])
      expect(JSON.stringify(body)).not.toContain(password)
      expect(await rows('strict.person@example.com')).toEqual([])
    })

    test('one of 8 emoji is accepted', async () => {
      const account = await api.account({ password: '😀😃😄😁😆😅🤣😂' })
      expect((await login(account.email, account.password)).status).toBe(200)
    })

    test('one of 128 characters is accepted, and its first 127 are another (ASVS 6.2.8, 6.2.9)', async () => {
      const account = await api.account({ password: 'é'.repeat(127) + '!' })
      expect((await login(account.email, account.password)).status).toBe(200)
      expect((await login(account.email, 'é'.repeat(127))).status).toBe(401)
    })

    test('the white space around one counts', async () => {
      const account = await api.account({ password: ' spaced out ' })
      expect((await login(account.email, ' spaced out ')).status).toBe(200)
      expect((await login(account.email, 'spaced out')).status).toBe(401)
    })
  })

  describe('signing in', () => {
    test('a sign-in is recorded with its time and address, and is one audit event', async () => {
      const { email } = await api.account()
      const [before, succeeded] = [now(), events('login.succeeded')]
      const { status, headers, body } = await login(` ${email.toUpperCase()} `)
      expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect((await api.get('/api/v1/users/me', { token: body.data.access_token })).body.data.email).toBe(email)
      const [row] = await rows(email)
      expect(row!.last_login_ip).toBe('127.0.0.1')
      // The database may have a clock of its own, a little off.
      expect(Date.parse(row!.last_login!)).toBeGreaterThan(Date.parse(before) - 1000)
      expect(events('login.succeeded')).toBe(succeeded + 1)
    })

    test('nobody can tell an unknown, a deactivated and a deleted account from a wrong password (ASVS 6.3.8)', async () => {
      const [active, deactivated, deleted] = [await api.account(), await api.account(), await api.account()]
      await change(deactivated.email, { is_active: false })
      await change(deleted.email, { deleted_at: now() })
      const failed = events('login.failed')
      const wrong = await login(active.email, 'the wrong password')
      expect([wrong.status, wrong.body.code]).toEqual([401, 'invalid_credentials'])
      for (const email of ['nobody@example.com', deactivated.email, deleted.email])
        expect(seen(await login(email))).toEqual(seen(wrong))
      expect(events('login.failed')).toBe(failed + 4)
      expect((await rows(active.email))[0]!.last_login).toBeNull()
    })
  })

  describe('after the cost of hashing was raised (ASVS 11.4.2)', () => {
    const [before, after] = [new Api(), new Api()]
    beforeAll(async () => {
      const DATABASE_URL = await freshDatabase(kind)
      await before.start(kind, { DATABASE_URL, ARGON2_TIME_COST: '2' })
      await after.start(kind, { DATABASE_URL, ARGON2_TIME_COST: '3' })
    })
    afterAll(() => Promise.all([before.stop(), after.stop()]))
    const signIn = ({ email }: Account, password: string) => after.post('/api/v1/auth/login', { email, password })
    const costOf = async ({ email }: Account) => {
      const users = after.database.query().selectFrom('users').select('password_hash').where('email', '=', email)
      return /t=\d/.exec((await users.executeTakeFirstOrThrow()).password_hash)![0]
    }

    test('a sign-in renews the hash, if the password was right', async () => {
      const account = await before.account()
      expect((await signIn(account, 'the wrong password')).status).toBe(401)
      expect(await costOf(account)).toBe('t=2')
      expect((await signIn(account, account.password)).status).toBe(200)
      expect(await costOf(account)).toBe('t=3')
      expect((await signIn(account, account.password)).status).toBe(200)
    })

    test('of several sign-ins at once, whichever renews the hash shuts no other out', async () => {
      const account = await before.account()
      const replies = await Promise.all(Array.from({ length: 3 }, () => signIn(account, account.password)))
      expect(replies.map(({ status }) => status)).toEqual([200, 200, 200])
      expect(await costOf(account)).toBe('t=3')
    })
  })
})
