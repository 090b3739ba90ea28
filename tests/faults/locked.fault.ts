import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { expect, vi } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { lockTables } from '../support/lock.ts'
import { register, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { watchLiveness } from './support/liveness.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

const [limit, locked] = [2, 6]

/** The server's connections that are not idle. */
async function busyConnections(url: string): Promise<number> {
  const client = new pg.Client(url)
  await client.connect()
  const { rows } = await client.query<{ busy: number }>(
    `select count(*)::integer as busy from pg_stat_activity
     where datname = current_database() and application_name = 'app' and state <> 'idle'`,
  )
  await client.end()
  return rows[0]!.busy
}

fault(
  'tables locked from outside, and so every connection in use',
  {
    promise:
      'Who waits gets 503 with Retry-After within the time limits; liveness answers in 100 ms (median); then all is as before',
  },
  async ({ kind, project }) => {
    const url = await freshDatabase(kind)
    const server = await Server.start(project, url, {
      DATABASE_TIMEOUT_SECONDS: String(limit),
      DATABASE_POOL_SIZE: '5',
    })
    const writers = startWriters(server.address, await register(server.address), 32)
    await writers.more(100)
    const liveness = watchLiveness(server.address)
    const unlock = await lockTables(url, ['items'], 'access exclusive')
    await sleep(locked * 1000)
    const median = await liveness.stop()
    const slowest = writers.slowest()
    await unlock()
    const ready = await server.untilReady()
    await writers.more(100)
    await writers.stop()

    expect(writers.faults).toEqual([])
    expect(writers.statuses[503]).toBeGreaterThan(32)
    expect(median).toBeLessThan(100)
    // It may wait for a connection, and then for the lock.
    expect(slowest).toBeLessThan((2 * limit + 1) * 1000)
    expect(ready).toBeLessThan(5000)
    if (kind === 'postgresql') await vi.waitFor(async () => expect(await busyConnections(url)).toBe(0), 5000)
    const { lost, doubled } = await lostAndDoubled(url, writers.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    return {
      done: `for ${locked} s, while 32 clients wrote, with 5 connections and a limit of ${limit} s`,
      seen: `${writers.statuses[503]} times 503, after ${(slowest / 1000).toFixed(1)} s at most; liveness in ${median} ms (median); afterwards ready after ${(ready / 1000).toFixed(1)} s, and no connection in use`,
    }
  },
)
