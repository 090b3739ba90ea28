import { createClient } from '@redis/client'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import { addressOf, networkOf } from './client.ts'
import type { Config } from './config.ts'
import { TooManyRequestsError } from './errors.ts'
import { rateLimitHeaders } from './responses.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Requests to this route that one client may make in a minute, or false for any number; `RATE_LIMIT_PER_MINUTE` by default. */
    rateLimit?: number | false
  }
}

/** Seconds. */
const window = 60
/** Clients that a process remembers for each route; the one unheard of for longest makes room. */
const remembered = 10_000
/** Milliseconds that Redis has for an answer. */
const patience = 250
/** Milliseconds for which Redis is not asked after it failed to answer. */
const respite = 5000

type LimitConfig = Pick<Config, 'APP_NAME' | 'RATE_LIMIT_ENABLED' | 'RATE_LIMIT_PER_MINUTE' | 'REDIS_URL'>

/**
 * Limits how often one client may ask each route that is registered from now on. All servers count together
 * where there is a Redis; while it is away, and without one, each counts for itself. A client is an address,
 * known before anything is asked of the database.
 */
export function limitRates(app: FastifyInstance, config: LimitConfig): void {
  if (!config.RATE_LIMIT_ENABLED) return
  const redis = config.REDIS_URL === undefined ? undefined : connect(app, config.REDIS_URL)
  const limits = new Map<string, ReturnType<typeof createLimit>>()

  app.addHook('onRoute', (route) => {
    const quota = route.config?.rateLimit ?? config.RATE_LIMIT_PER_MINUTE
    // `*` is the preflight route of CORS.
    if (quota === false || route.url === '*') return
    // Fastify adds a HEAD to each GET: they count as one.
    const name = `${String(route.method).replace('HEAD', 'GET')} ${route.url}`
    const limit = limits.get(name) ?? createLimit(`${config.APP_NAME}: ${name}`, quota, redis)
    limits.set(name, limit)
    route.onRequest = [limit, ...[route.onRequest ?? []].flat()]
  })
}

type Redis = ReturnType<typeof connect>

/** A hook that counts the requests to one route. */
function createLimit(name: string, quota: number, redis: Redis | undefined) {
  const options = { points: quota, duration: window, keyPrefix: `rate limit of ${name}` }
  const own = createMemory(options)
  const shared =
    redis &&
    new RateLimiterRedis({ ...options, storeClient: redis.client, useRedisPackage: true, rejectIfRedisNotReady: true })
  const policy = { name: 'default', quota, window }

  /** Gives the state of the count, beyond the quota too. */
  async function count(client: string): Promise<RateLimiterRes> {
    const together = shared && (await redis?.ask(() => shared.consume(client).catch(stateOf)))
    return together ?? own(client)
  }

  return async (request: FastifyRequest, reply: FastifyReply) => {
    const { consumedPoints, remainingPoints, msBeforeNext } = await count(networkOf(addressOf(request)))
    const seconds = Math.max(Math.ceil(msBeforeNext / 1000), 1)
    if (consumedPoints > quota) throw new TooManyRequestsError(seconds, policy)
    reply.headers(rateLimitHeaders(policy, remainingPoints, seconds))
  }
}

/** The library's own memory has no bound: an attacker with a large network would fill it. */
function createMemory(options: { points: number; duration: number }) {
  const limiter = new RateLimiterMemory(options)
  const clients = new Set<string>()
  return async (client: string): Promise<RateLimiterRes> => {
    clients.delete(client)
    clients.add(client)
    const [oldest] = clients
    if (clients.size > remembered && oldest !== undefined) {
      clients.delete(oldest)
      await limiter.delete(oldest)
    }
    return limiter.consume(client).catch(stateOf)
  }
}

/** The library throws the state when the quota is used up; anything else is a fault. */
function stateOf(thrown: unknown): RateLimiterRes {
  if (thrown instanceof RateLimiterRes) return thrown
  throw thrown
}

/** A Redis that may be away at any time, at the start too. */
function connect(app: FastifyInstance, url: string) {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: 2000, reconnectStrategy: (attempts) => Math.min(attempts * 100, 2000) },
  })
  let away = false
  let askAgain = 0

  const fail = (error: unknown) => {
    if (!away) app.log.warn({ err: error }, 'Redis is away: each process counts for itself')
    away = true
  }
  client.on('error', fail)
  client.connect().catch(fail)
  app.addHook('onClose', () => client.destroy())

  return {
    client,
    /** Gives undefined when Redis does not answer in time; then it is left alone for a while. */
    async ask<T>(question: () => Promise<T>): Promise<T | undefined> {
      if (!client.isReady || Date.now() < askAgain) return undefined
      const late = Promise.withResolvers<never>()
      const timer = setTimeout(() => late.reject(new Error('Redis does not answer')), patience)
      try {
        const answer = await Promise.race([question(), late.promise])
        if (away) app.log.info('Redis is back')
        away = false
        return answer
      } catch (error) {
        askAgain = Date.now() + respite
        fail(error)
        return undefined
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
