import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { register, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Postgresql } from './support/postgresql.ts'
import { Proxy } from './support/proxy.ts'
import { Server } from './support/server.ts'

const promise =
  'Meanwhile nothing but 503 with Retry-After, within the time limits; what was acknowledged is there; ready and writing again within 5 s of its end'

const silentSeconds = [3, 6, 13]
/** A statement's limit (10 s), a second until the answer counts as lost, the limit of a new connection (4 s), and one. */
const answerLimit = 16_000
const inSeconds = (milliseconds: number) => (milliseconds / 1000).toFixed(1)

/** What is silent, and how that ends. */
const silences = {
  'a network that passes nothing on': (_: Postgresql, proxy: Proxy) => {
    proxy.blackhole()
    return () => proxy.back()
  },
  'a network that passes nothing on, and forgets the connections': (_: Postgresql, proxy: Proxy) => {
    proxy.blackhole()
    return () => proxy.back(true)
  },
  'a PostgreSQL that stands still (SIGSTOP)': (postgresql: Postgresql) => {
    postgresql.freeze()
    return () => postgresql.thaw()
  },
}

for (const [title, silence] of Object.entries(silences))
  fault(title, { promise, on: ['postgresql'], limit: 180 }, async ({ project }) => {
    const postgresql = await Postgresql.start()
    const proxy = await Proxy.start(postgresql.port)
    const server = await Server.start(project, proxy.through(postgresql.url))
    const token = await register(server.address)
    const writers = startWriters(server.address, token)
    let slowest = 0
    for (const seconds of silentSeconds) {
      await writers.more(100)
      const end = silence(postgresql, proxy)
      await sleep(seconds * 1000)
      end()
      const begin = performance.now()
      await server.untilReady()
      await writers.more(20)
      slowest = Math.max(slowest, performance.now() - begin)
    }
    await writers.stop()

    expect(writers.faults).toEqual([])
    expect(writers.statuses).not.toHaveProperty('0')
    expect(writers.slowest()).toBeLessThan(answerLimit)
    expect(slowest).toBeLessThan(5000)
    const { lost, doubled } = await lostAndDoubled(postgresql.url, writers.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    return {
      done: `for ${silentSeconds.join(', ')} s, while 16 clients wrote`,
      seen: `${writers.acknowledged.length} writes acknowledged, none lost; ${writers.statuses[503]} times 503, after ${inSeconds(writers.slowest())} s at most; writing again ${inSeconds(slowest)} s after its end at most`,
    }
  })
