import { createClient } from '@redis/client'
import type { FastifyInstance } from 'fastify'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { rateWindow, type SharedCounter } from '../counter.ts'
import { createPatience } from '../patience.ts'

/** Counts in a Redis that may be away at any time, at the start too. */
export function countInRedis(app: FastifyInstance, url: string): SharedCounter {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: 2000, reconnectStrategy: (attempts) => Math.min(attempts * 100, 2000) },
  })
  const { ask, fail } = createPatience('Redis', app.log)
  client.on('error', fail)
  client.connect().catch(fail)
  app.addHook('onClose', () => client.destroy())
  const limiter = new RateLimiterRedis({
    storeClient: client,
    useRedisPackage: true,
    rejectIfRedisNotReady: true,
    keyPrefix: 'rate limit of',
    // It would throw beyond the quota, which is each route's own and looked at above.
    points: Number.MAX_SAFE_INTEGER,
    duration: rateWindow,
  })

  return async (route, address) => {
    if (!client.isReady) return undefined
    const state = await ask(() => limiter.consume(`${route}: ${address}`))
    return state && { requests: state.consumedPoints, left: state.msBeforeNext }
  }
}
