import cluster from 'node:cluster'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config.ts'
import { createCounter, rateWindow as window, type Count, type SharedCounter } from '../counter.ts'
import { TooManyRequestsError } from '../errors.ts'
import { askSupervisor } from '../workers/shared-count.ts'
import { addressOf, networkOf } from './client.ts'
import { rateLimitHeaders } from './responses.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Requests to this route that one client may make in a minute, or false for any number; `RATE_LIMIT_PER_MINUTE` by default. */
    rateLimit?: number | false
  }
}

type LimitConfig = Pick<Config, 'APP_NAME' | 'RATE_LIMIT_ENABLED' | 'RATE_LIMIT_PER_MINUTE' | 'REDIS_URL'>

/**
 * Limits how often one client may ask each route that is registered from now on. All servers count together
 * where there is a Redis; while it is away, and without one, each server counts for itself, all its workers
 * together. A client is an address, known before anything is asked of the database.
 */
export async function limitRates(app: FastifyInstance, config: LimitConfig): Promise<void> {
  if (!config.RATE_LIMIT_ENABLED) return
  const together = [
    ...(config.REDIS_URL === undefined ? [] : [await redisCounter(app, config.REDIS_URL)]),
    ...(cluster.isWorker ? [askSupervisor(app.log)] : []),
  ]
  const limits = new Map<string, ReturnType<typeof createLimit>>()

  app.addHook('onRoute', (route) => {
    const quota = route.config?.rateLimit ?? config.RATE_LIMIT_PER_MINUTE
    // `*` is the preflight route of CORS.
    if (quota === false || route.url === '*') return
    // Fastify adds a HEAD to each GET: they count as one.
    const name = `${String(route.method).replace('HEAD', 'GET')} ${route.url}`
    const limit = limits.get(name) ?? createLimit(`${config.APP_NAME}: ${name}`, quota, together)
    limits.set(name, limit)
    route.onRequest = [limit, ...[route.onRequest ?? []].flat()]
  })
}

/** The client is large, and most have no Redis. */
async function redisCounter(app: FastifyInstance, url: string): Promise<SharedCounter> {
  const { countInRedis } = await import('./redis-counter.ts')
  return countInRedis(app, url)
}

/** A hook that counts the requests to one route. */
function createLimit(name: string, quota: number, together: SharedCounter[]) {
  const own = createCounter()
  const policy = { name: 'default', quota, window }

  async function count(client: string): Promise<Count> {
    for (const shared of together) {
      const answer = await shared(name, client)
      if (answer) return answer
    }
    return own(client)
  }

  return async (request: FastifyRequest, reply: FastifyReply) => {
    const { requests, left } = await count(networkOf(addressOf(request)))
    const seconds = Math.max(Math.ceil(left / 1000), 1)
    if (requests > quota) throw new TooManyRequestsError(seconds, policy)
    reply.headers(rateLimitHeaders(policy, quota - requests, seconds))
  }
}
