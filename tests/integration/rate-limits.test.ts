import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Api, useApi, type Reply } from '../support/api.ts'
import { hasRedis, Redis } from '../support/redis.ts'

const few = { RATE_LIMIT_ENABLED: 'true', RATE_LIMIT_PER_MINUTE: '5', TRUST_PROXY: '127.0.0.1' }

/** Asks a route at once, as often as told, from one address. */
const ask = (api: Api, times: number, address: string, path = '/api/v1/items', method = 'GET') =>
  Promise.all(
    Array.from({ length: times }, () => api.request(method, path, { headers: { 'x-forwarded-for': address } })),
  )
const allowed = (replies: Reply[]) => replies.filter(({ status }) => status !== 429).length

describe('a rate limit', () => {
  const api = useApi('sqlite', few)

  test('lets exactly its quota through, and says when to come again', async () => {
    const replies = await ask(api, 20, '203.0.113.1')
    expect(allowed(replies)).toBe(5)
    const refused = replies.find(({ status }) => status === 429)!
    expect(refused.body.code).toBe('too_many_requests')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60)
    expect(refused.headers.get('ratelimit-policy')).toBe('"default";q=5;w=60')
    expect(refused.headers.get('ratelimit')).toMatch(/^"default";r=0;t=\d+$/)
  })

  test('tells each answer how much is left', async () => {
    const left = []
    for (let request = 0; request < 3; request++) {
      const [reply] = await ask(api, 1, '203.0.113.2')
      left.push(/r=(\d+)/.exec(reply!.headers.get('ratelimit')!)![1])
      expect(reply!.headers.get('ratelimit-policy')).toBe('"default";q=5;w=60')
    }
    expect(left).toEqual(['4', '3', '2'])
  })

  test('counts each route and each address by itself', async () => {
    expect(allowed(await ask(api, 6, '203.0.113.3'))).toBe(5)
    expect(allowed(await ask(api, 5, '203.0.113.3', '/api/v1/items/search?q=a'))).toBe(5)
    expect(allowed(await ask(api, 5, '203.0.113.4'))).toBe(5)
  })

  test('counts a HEAD with the GETs, and an address of a network with its neighbours', async () => {
    expect(allowed(await ask(api, 5, '2001:db8::1'))).toBe(5)
    expect(allowed(await ask(api, 1, '2001:db8::2', '/api/v1/items', 'HEAD'))).toBe(0)
    expect(allowed(await ask(api, 1, '2001:db8:0:1::1'))).toBe(1)
  })

  test('comes before the token is looked at: a stranger costs no query', async () => {
    const replies = await ask(api, 6, '203.0.113.5', '/api/v1/users/me')
    expect(replies.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([401, 401, 401, 401, 401, 429])
  })

  test('is not for probes', async () => {
    const replies = await ask(api, 20, '203.0.113.6', '/health/live')
    expect(allowed(replies)).toBe(20)
    expect(replies[0]!.headers.has('ratelimit')).toBe(false)
  })
})

describe.skipIf(!hasRedis)('with Redis (needs redis-server)', () => {
  const redis = new Redis()
  const servers = [new Api(), new Api()] as const
  const lines = (api: Api, text: string) => api.log.filter(({ msg }) => String(msg).startsWith(text)).length

  beforeAll(async () => {
    await redis.start()
    for (const server of servers) await server.start('sqlite', { ...few, REDIS_URL: redis.url })
  })
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await redis.stop()
  })

  test('servers count together, and each for itself while it is stopped, frozen or gone', async () => {
    const [one, two] = servers
    const both = async (address: string) =>
      (await Promise.all(servers.map((server) => ask(server, 10, address)))).map(allowed)
    let addresses = 0
    const fresh = () => `198.51.100.${++addresses}`
    const together = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0)
    await vi.waitFor(async () => expect(together(await both(fresh()))).toBe(5), { timeout: 10_000 })

    // Frozen: the answers come all the same, and soon after it is not asked at all.
    redis.kill('SIGSTOP')
    expect(await both('203.0.113.20')).toEqual([5, 5])
    expect(await both('203.0.113.21')).toEqual([5, 5])
    redis.kill('SIGCONT')

    await redis.stop()
    expect(await both('203.0.113.22')).toEqual([5, 5])
    expect([lines(one, 'Redis is away'), lines(two, 'Redis is away')]).toEqual([1, 1])

    await redis.start()
    await vi.waitFor(async () => expect(together(await both(fresh()))).toBe(5), {
      timeout: 15_000,
      interval: 500,
    })
    expect([lines(one, 'Redis is back'), lines(two, 'Redis is back')]).toEqual([1, 1])
  })
})

test.skipIf(!hasRedis)('a server starts and serves while Redis is away', async () => {
  const api = new Api()
  await api.start('sqlite', { ...few, REDIS_URL: 'redis://127.0.0.1:1' })
  expect(allowed(await ask(api, 6, '203.0.113.1'))).toBe(5)
  await api.stop()
})
