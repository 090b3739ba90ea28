import pg from 'pg'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Api, useApi, type Reply } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'

const enabled = { RATE_LIMIT_ENABLED: 'true', TRUST_PROXY: '127.0.0.1' }
const statuses = (replies: Reply[]) => replies.map(({ status }) => status).toSorted((a, b) => a - b)
const times = (count: number, status: number) => Array<number>(count).fill(status)
const atOnce = <T>(count: number, work: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))

const loginTo = (api: Api) => (email: string, password: string, address: string) =>
  api.post('/api/v1/auth/login', { email, password }, { headers: { 'x-forwarded-for': address } })

onEachDatabase((kind) => {
  const lines = (api: Api, ...events: string[]) => api.log.filter(({ event }) => events.includes(String(event))).length
  const recorded = async (api: Api, ...events: string[]) =>
    (await api.database.query().selectFrom('audit_events').where('event', 'in', events).select('id').execute()).length

  describe('guessing a password', () => {
    const api = useApi(kind, enabled)
    const login = loginTo(api)

    // ASVS 6.3.1
    test('of many wrong passwords at once exactly five are tried, and the owner still gets in from elsewhere', async () => {
      const { email, password } = await api.account()
      const guesses = await atOnce(150, () => login(email, 'a wrong password', '203.0.113.1'))
      expect(statuses(guesses)).toEqual([...times(5, 401), ...times(145, 429)])
      const refused = guesses.find(({ status }) => status === 429)!
      expect(refused.body.code).toBe('too_many_requests')
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(refused.headers.get('ratelimit-policy')).toBe('"login";q=5;w=900')
      expect(refused.headers.get('ratelimit')).toMatch(/^"login";r=0;t=\d+$/)
      expect((await login(email, password, '203.0.113.1')).status).toBe(429)
      expect((await login(email, password, '203.0.113.2')).status).toBe(200)
    })

    test('of an e-mail that nobody has is slowed down just the same (ASVS 6.3.8)', async () => {
      const guesses = await atOnce(20, () => login('nobody@example.com', 'a wrong password', '203.0.113.6'))
      expect(statuses(guesses)).toEqual([...times(5, 401), ...times(15, 429)])
    })

    test('from one IPv6 network is one guesser, whatever the address', async () => {
      const { email, password } = await api.account()
      const guesses = await atOnce(10, (index) => login(email, 'a wrong password', `2001:db8::${index}`))
      expect(statuses(guesses)).toEqual([...times(5, 401), ...times(5, 429)])
      expect((await login(email, password, '2001:db8:0:1::1')).status).toBe(200)
    })

    test('right passwords at the same moment are not taken for failures', async () => {
      const { email, password } = await api.account()
      expect(statuses(await atOnce(10, () => login(email, password, '203.0.113.5')))).toEqual(times(10, 200))
    })

    // ASVS 15.3.4
    test('what a trusted proxy passes on is not taken for an address when it is none', async () => {
      const { email, password } = await api.account()
      const { status, body } = await login(email, password, `a b <script> ${'x'.repeat(100)}`)
      expect(status).toBe(200)
      const sessions = await api.get('/api/v1/auth/sessions', { token: body.data.access_token })
      expect(sessions.body.data[0].ip).toBe('127.0.0.1')
    })

    test('a wait that began before the clock was put back an hour is over', async () => {
      const { email, password } = await api.account()
      const guesses = await atOnce(8, () => login(email, 'a wrong password', '203.0.113.7'))
      expect(statuses(guesses)).toEqual([...times(5, 401), ...times(3, 429)])
      const ahead = api.database.clock(60 * 60 + 15)
      await api.database.query().updateTable('throttles').set({ until: ahead }).execute()
      expect((await login(email, password, '203.0.113.7')).status).toBe(200)
    })

    test('a wait is told by the clock that set it', async () => {
      const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 60 * 60 * 1000)
      onTestFinished(() => clock.mockRestore())
      const guesses = await atOnce(6, () => login('late@example.com', 'a wrong password', '203.0.113.8'))
      const refused = guesses.find(({ status }) => status === 429)!
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(15)
    })

    test('the wait doubles, up to fifteen minutes', async () => {
      const waits: number[] = []
      const throttles = () => api.database.query().selectFrom('throttles').selectAll()
      const begin = new Date().toISOString()
      for (let attempt = 1; attempt <= 13; attempt++) {
        await login('somebody@example.com', 'a wrong password', '203.0.113.3')
        const rows = await throttles().where('created_at', '>=', begin).orderBy('created_at').execute()
        // The later ones count the address, and its audit events.
        const { until, updated_at, attempts } = rows[0]!
        expect(attempts).toBe(attempt)
        waits.push(Math.round((Date.parse(until) - Date.parse(updated_at)) / 1000))
        // The wait passes.
        await api.database.query().updateTable('throttles').set({ until: api.database.clock() }).execute()
      }
      expect(waits).toEqual([0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900, 900, 900])
    })

    test('a success begins the count anew', async () => {
      const { email, password } = await api.account()
      for (let round = 0; round < 2; round++) {
        for (let attempt = 0; attempt < 4; attempt++)
          expect((await login(email, 'a wrong password', '203.0.113.4')).status).toBe(401)
        expect((await login(email, password, '203.0.113.4')).status).toBe(200)
      }
    })

    test('guessing the old password is throttled as well', async () => {
      const { access_token: token, password } = await api.account()
      const change = (old_password: string) =>
        api.post('/api/v1/users/me/password', { old_password, new_password: 'another long password' }, { token })
      expect(statuses(await atOnce(20, () => change('a wrong password')))).toEqual([
        ...times(5, 401),
        ...times(15, 429),
      ])
      expect((await change(password)).status).toBe(429)
    })
  })

  describe('an address', () => {
    const api = useApi(kind, { ...enabled, ADDRESS_MAX_FAILURES: '10', REGISTER_MAX_PER_HOUR: '6' })
    const login = loginTo(api)
    const register = (email: string, address: string, password = 'correct horse battery') =>
      api.post(
        '/api/v1/auth/register',
        { email, password, first_name: 'Ada', last_name: 'Lovelace' },
        { headers: { 'x-forwarded-for': address } },
      )
    const refresh = (refresh_token: string, address: string) =>
      api.post('/api/v1/auth/refresh', { refresh_token }, { headers: { 'x-forwarded-for': address } })

    test('that tries one password on many accounts is stopped, and no other address', async () => {
      const { email, password } = await api.account()
      const spray = await atOnce(20, (index) => login(`person${index}@example.org`, 'Summer2026!', '203.0.113.10'))
      expect(statuses(spray)).toEqual([...times(10, 401), ...times(10, 429)])
      expect((await login(email, password, '203.0.113.10')).status).toBe(429)
      expect((await login(email, password, '203.0.113.11')).status).toBe(200)
      // Each attempt is one event, as a line and as a row: those that were tried failed, the others were refused.
      const kinds = ['login.failed', 'attempt.throttled'] as const
      expect(lines(api, ...kinds)).toBe(21)
      expect(await recorded(api, ...kinds)).toBe(21)
    })

    test('from which many sign in with the right password is not', async () => {
      const { email, password } = await api.account()
      expect(statuses(await atOnce(11, () => login(email, password, '203.0.113.12')))).toEqual(times(11, 200))
      expect((await login(email, 'a wrong password', '203.0.113.12')).status).toBe(401)
    })

    test('may register so many accounts in an hour, also when the e-mail is taken; a weak password does not count', async () => {
      for (let attempt = 0; attempt < 8; attempt++)
        expect((await register('weak@example.com', '203.0.113.13', 'password123')).status).toBe(400)
      const taken = await atOnce(3, () => register('taken@example.com', '203.0.113.13'))
      expect(statuses(taken)).toEqual([201, 409, 409])
      const more = await atOnce(10, (index) => register(`more${index}@example.com`, '203.0.113.13'))
      expect(statuses(more)).toEqual([...times(3, 201), ...times(7, 429)])
      expect(more.find(({ status }) => status === 429)!.headers.get('ratelimit-policy')).toBe('"register";q=6;w=3600')
      expect((await register('elsewhere@example.com', '203.0.113.14')).status).toBe(201)
      // The hour passes.
      await api.database.query().updateTable('throttles').set({ until: api.database.clock() }).execute()
      expect((await register('later@example.com', '203.0.113.13')).status).toBe(201)
    })

    test('that sends bad refresh tokens is told to wait; good ones are not counted, and go on', async () => {
      let { refresh_token } = await api.account()
      for (let attempt = 0; attempt < 15; attempt++) {
        const reply = await refresh(refresh_token, '203.0.113.15')
        expect(reply.status).toBe(200)
        ;({ refresh_token } = reply.body.data)
      }
      const bad = await atOnce(30, () => refresh('garbage', '203.0.113.15'))
      expect(statuses(bad)).toEqual([...times(10, 401), ...times(20, 429)])
      expect((await refresh(refresh_token, '203.0.113.15')).status).toBe(200)
    })
  })

  test('two servers on one database count together', async () => {
    const DATABASE_URL = await freshDatabase(kind)
    const servers = [new Api(), new Api()] as const
    for (const server of servers) await server.start(kind, { ...enabled, DATABASE_URL })
    onTestFinished(async () => void (await Promise.all(servers.map((server) => server.stop()))))
    const { email } = await servers[0].account()
    const guesses = await atOnce(60, (index) => loginTo(servers[index % 2]!)(email, 'a wrong password', '203.0.113.1'))
    expect(statuses(guesses)).toEqual([...times(5, 401), ...times(55, 429)])
  })
})

// SQLite has no lock on one table alone.
test('what the database could not do is not counted', async () => {
  const api = new Api()
  const DATABASE_URL = await freshDatabase('postgresql')
  await api.start('postgresql', { ...enabled, DATABASE_URL, DATABASE_TIMEOUT_SECONDS: '1', REGISTER_MAX_PER_HOUR: '4' })
  const other = new pg.Client(DATABASE_URL)
  await other.connect()
  onTestFinished(async () => {
    await other.end()
    await api.stop()
  })
  const { email, password } = await api.account()
  await other.query('begin; lock table users')
  const replies = await Promise.all([
    ...Array.from({ length: 4 }, () => api.account().catch(() => undefined)),
    // One after the other each would wait for the whole time limit.
    ...Array.from({ length: 20 }, () => loginTo(api)(email, password, '127.0.0.1')),
  ])
  expect(replies.slice(4).map((reply) => (reply as Reply).status)).toEqual(times(20, 503))
  await other.query('rollback')
  expect((await loginTo(api)(email, 'a wrong password', '127.0.0.1')).status).toBe(401)
  expect((await loginTo(api)(email, password, '127.0.0.1')).status).toBe(200)
  await api.account()
})
