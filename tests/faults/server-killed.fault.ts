import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

const kills = 5

fault(
  'kill -9 of the server under writes',
  { promise: 'What was acknowledged is there, each once; the server starts again without help', quick: true },
  async ({ kind, project }) => {
    const url = await freshDatabase(kind)
    const server = await Server.start(project, url)
    const writers = startWriters(server.address, await register(server.address))
    let slowest = 0
    for (let kill = 0; kill < kills; kill++) {
      await writers.more(100)
      await sleep(Math.random() * 50)
      await server.kill()
      await server.start()
      slowest = Math.max(slowest, await server.untilReady())
    }
    await writers.more(1)
    await writers.stop()
    await server.program.stop()

    const { lost, doubled, found } = await lostAndDoubled(url, writers.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    expect(writers.faults).toEqual([])
    return {
      done: `killed ${kills} times while 16 clients wrote`,
      seen: `${writers.acknowledged.length} writes acknowledged, none lost; ${found} items in the table`,
    }
  },
)
