import { expect, test } from 'vitest'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'

onEachDatabase((kind) => {
  const api = useApi(kind, { RATE_LIMIT_ENABLED: 'true', TRUST_PROXY: '127.0.0.1' })
  const login = (email: string, password: string, address: string) =>
    api.post('/api/v1/auth/login', { email, password }, { headers: { 'x-forwarded-for': address } })
  const statuses = (replies: { status: number }[]) => replies.map(({ status }) => status).toSorted((a, b) => a - b)

  // ASVS 6.3.1
  test('of many wrong passwords at once exactly five are tried, and the owner still gets in from elsewhere', async () => {
    const { email, password } = await api.account()
    const guesses = await Promise.all(Array.from({ length: 40 }, () => login(email, 'a wrong password', '203.0.113.1')))
    expect(statuses(guesses)).toEqual([...Array<number>(5).fill(401), ...Array<number>(35).fill(429)])
    const refused = guesses.find(({ status }) => status === 429)!
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(refused.headers.get('ratelimit-policy')).toBe('"login";q=5')
    expect(refused.headers.get('ratelimit')).toMatch(/^"login";r=0;t=\d+$/)
    expect((await login(email, password, '203.0.113.1')).status).toBe(429)
    expect((await login(email, password, '203.0.113.2')).status).toBe(200)
  })

  test('right passwords at the same moment are not taken for failures', async () => {
    const { email, password } = await api.account()
    const replies = await Promise.all(Array.from({ length: 20 }, () => login(email, password, '203.0.113.5')))
    expect(statuses(replies)).toEqual(Array<number>(20).fill(200))
  })

  // ASVS 15.3.4
  test('what a trusted proxy passes on is not taken for an address when it is none', async () => {
    const { email, password } = await api.account()
    const { status, body } = await login(email, password, `a b <script> ${'x'.repeat(100)}`)
    expect(status).toBe(200)
    const sessions = await api.get('/api/v1/auth/sessions', { token: body.data.access_token })
    expect(sessions.body.data[0].ip).toBe('127.0.0.1')
  })

  test('the wait doubles, up to fifteen minutes', async () => {
    const waits: number[] = []
    for (let attempt = 1; attempt <= 13; attempt++) {
      await login('nobody@example.com', 'a wrong password', '203.0.113.3')
      const { blocked_until, updated_at, attempts } = await api.database
        .query()
        .selectFrom('throttles')
        .selectAll()
        .orderBy('id', 'desc')
        .executeTakeFirstOrThrow()
      expect(attempts).toBe(attempt)
      waits.push(Math.round((Date.parse(blocked_until) - Date.parse(updated_at)) / 1000))
      // The wait passes.
      await api.database.query().updateTable('throttles').set({ blocked_until: api.database.clock() }).execute()
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
    for (let attempt = 0; attempt < 5; attempt++) expect((await change('a wrong password')).status).toBe(401)
    expect((await change(password)).status).toBe(429)
  })
})
