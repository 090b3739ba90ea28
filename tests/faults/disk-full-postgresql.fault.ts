import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { register, startReaders, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Postgresql } from './support/postgresql.ts'
import { Server } from './support/server.ts'
import { fill, mountTmpfs, noTmpfs } from './support/tmpfs.ts'

/** MiB: a new cluster takes 40. */
const [size, rounds] = [160, 3]

/** Asks for the next file of the log until there is no room for one: that is what PostgreSQL cannot go on without. */
async function exhaustLog(postgresql: Postgresql): Promise<void> {
  for (let files = 0; files < size; files++) {
    const isAway = await postgresql.query("select pg_logical_emit_message(true, '', ''), pg_switch_wal()").then(
      () => false,
      () => true,
    )
    if (isAway) return
  }
  throw new Error('The log still finds room')
}

fault(
  'a full disk under PostgreSQL',
  {
    promise:
      'Nothing but 503 with Retry-After; with room again, and PostgreSQL, it heals within 5 s; nothing acknowledged is lost',
    on: ['postgresql'],
    cannot: noTmpfs,
    limit: 300,
  },
  async ({ project }) => {
    const disk = mountTmpfs(size)
    const postgresql = await Postgresql.start(disk)
    const server = await Server.start(project, postgresql.url)
    const token = await register(server.address)
    const writers = startWriters(server.address, token)
    const readers = startReaders(`${server.address}/api/v1/items?per_page=1`, token)
    let [slowest, ended] = [0, 0]
    for (let round = 0; round < rounds; round++) {
      await writers.more(100)
      const empty = fill(disk)
      const refused = writers.statuses[503] ?? 0
      while ((writers.statuses[503] ?? 0) < refused + 100) await sleep(10)
      await readers.more(50)
      // The table has found no room each time; the last time the log finds none either.
      if (round === rounds - 1) await exhaustLog(postgresql)
      empty()
      for (let isBack = false; !isBack;) {
        // It ends if it still found no room when it started again by itself.
        if (postgresql.hasEnded) {
          ended++
          await postgresql.start()
        }
        isBack = await postgresql.query('select 1').then(
          () => true,
          () => sleep(100, false),
        )
      }
      slowest = Math.max(slowest, await server.untilReady())
    }
    await writers.more(100)
    await Promise.all([writers.stop(), readers.stop()])
    expect(await server.program.stop()).toBe(0)

    expect(writers.faults).toEqual([])
    expect(Object.keys(writers.statuses).toSorted()).toEqual(['201', '503'])
    for (const status of Object.keys(readers.statuses)) expect(['200', '503']).toContain(status)
    const { lost, doubled } = await lostAndDoubled(postgresql.url, writers.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    expect(slowest).toBeLessThan(5000)
    return {
      done: `filled ${rounds} times while 16 clients wrote and 4 read; for its tables twice, then for its log, when PostgreSQL ended ${ended === 1 ? 'and was started again' : 'and started again by itself'}`,
      seen: `${writers.statuses[503]} times 503; ${readers.statuses[503] ?? 0} of ${readers.durations.length} reads 503; ${writers.acknowledged.length} writes acknowledged, none lost; ready again after ${(slowest / 1000).toFixed(1)} s at most`,
    }
  },
)
