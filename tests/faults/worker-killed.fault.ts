import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, startWriters } from './support/clients.ts'
import { fault, isQuick } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

const [workers, kills, clients] = [2, isQuick ? 2 : 5, 16]

fault(
  'kill -9 of a worker under writes',
  { promise: 'It is replaced, the other goes on, and what was acknowledged is there, each once', quick: true },
  async ({ kind, project }) => {
    const url = await freshDatabase(kind)
    const server = await Server.start(project, url, { WEB_CONCURRENCY: String(workers) })
    /** The process ids of the workers that ever listened. */
    const pids = () =>
      server.program
        .log()
        .filter(({ msg }) => msg === 'a worker listens')
        .map(({ pid }) => Number(pid))
    const untilListening = async (ever: number) => {
      while (pids().length < ever) await sleep(20)
    }
    await untilListening(workers)
    const writers = startWriters(server.address, await register(server.address), clients)
    for (let kill = 0; kill < kills; kill++) {
      await writers.more(100)
      // The oldest of those that live.
      process.kill(pids()[kill]!, 'SIGKILL')
      await untilListening(workers + kill + 1)
    }
    await writers.more(100)
    await writers.stop()
    expect(await server.program.stop()).toBe(0)

    expect(writers.faults).toEqual([])
    // Whoever was with the one that died has to ask again.
    expect(writers.statuses[0] ?? 0).toBeLessThanOrEqual(kills * clients)
    const { lost, doubled } = await lostAndDoubled(url, writers.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    return {
      done: `one of two workers killed, ${kills} times, while ${clients} clients wrote`,
      seen: `replaced each time; ${writers.acknowledged.length} writes acknowledged, none lost; ${writers.statuses[0] ?? 0} connections broke`,
    }
  },
)
