import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { register, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Postgresql } from './support/postgresql.ts'
import { Server } from './support/server.ts'

const rounds = 5

const ends = [
  ['kill -9 of', 'killed', (postgresql: Postgresql) => postgresql.kill()],
  ['a fast restart of', 'restarted', (postgresql: Postgresql) => postgresql.stop('fast')],
  ['an immediate restart of', 'restarted', (postgresql: Postgresql) => postgresql.stop('immediate')],
] as const

for (const [title, done, end] of ends)
  fault(
    `${title} PostgreSQL under writes`,
    {
      promise:
        'What was acknowledged is there, each once; meanwhile nothing but 503 with Retry-After; ready again within 5 s',
      on: ['postgresql'],
      quick: done === 'killed',
    },
    async ({ project }) => {
      const postgresql = await Postgresql.start()
      const server = await Server.start(project, postgresql.url)
      const writers = startWriters(server.address, await register(server.address))
      let slowest = 0
      for (let round = 0; round < rounds; round++) {
        await writers.more(100)
        await sleep(Math.random() * 50)
        await end(postgresql)
        await sleep(200)
        await postgresql.start()
        slowest = Math.max(slowest, await server.untilReady())
      }
      await writers.more(100)
      await writers.stop()

      expect(writers.faults).toEqual([])
      // Not one connection to the server itself broke.
      expect(Object.keys(writers.statuses).toSorted()).toEqual(['201', '503'])
      const { lost, doubled } = await lostAndDoubled(postgresql.url, writers.acknowledged)
      expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
      expect(slowest).toBeLessThan(5000)
      return {
        done: `${done} ${rounds} times while 16 clients wrote`,
        seen: `${writers.acknowledged.length} writes acknowledged, none lost; ${writers.statuses[503]} times 503; ready again after ${(slowest / 1000).toFixed(1)} s at most`,
      }
    },
  )
