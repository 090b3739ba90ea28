import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { hasRedis, Redis } from '../support/redis.ts'
import { register, startReaders } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { Server } from './support/server.ts'

fault(
  'Redis frozen, and stopped, under load',
  {
    promise: 'Rate limits are counted without it until it is back; no request fails, or waits longer than a moment',
    on: [],
    cannot: () => (hasRedis ? undefined : 'there is no redis-server here'),
  },
  async ({ kind, project }) => {
    const redis = new Redis()
    await redis.start()
    onTestFinished(() => redis.stop())
    const server = await Server.start(project, await freshDatabase(kind), {
      RATE_LIMIT_ENABLED: 'true',
      RATE_LIMIT_PER_MINUTE: '1000000',
      REDIS_URL: redis.url,
      // Refusals for too much at once are another fault's.
      OVERLOAD_DELAY_MS: '0',
    })
    const readers = startReaders(`${server.address}/api/v1/items`, await register(server.address), 16)
    const told = (text: string) => server.program.log().filter(({ msg }) => String(msg).startsWith(text)).length
    const until = async (text: string, times: number) => {
      while (told(text) < times) await sleep(50)
    }
    await readers.more(100)
    redis.kill('SIGSTOP')
    await until('Redis is away', 1)
    await readers.more(200)
    redis.kill('SIGCONT')
    await until('Redis is back', 1)
    await readers.more(100)
    await redis.stop()
    await until('Redis is away', 2)
    await readers.more(200)
    await redis.start()
    await until('Redis is back', 2)
    await readers.more(100)
    await readers.stop()

    expect(Object.keys(readers.statuses)).toEqual(['200'])
    const slowest = Math.max(...readers.durations)
    expect(slowest).toBeLessThan(2000)
    expect([told('Redis is away'), told('Redis is back')]).toEqual([2, 2])
    return {
      done: 'frozen, let go, killed and started again while 16 clients read',
      seen: `${readers.durations.length} answers, all of them 200, the slowest after ${slowest.toFixed(0)} ms`,
    }
  },
)
