import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, startWriters } from './support/clients.ts'
import { fault, isQuick } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

const kills = isQuick ? 2 : 5

fault(
  'kill -9 of one of two servers on a SQLite file',
  {
    promise: 'The other goes on without an error, and what either acknowledged is there, each once',
    on: ['sqlite'],
    quick: true,
  },
  async ({ kind, project }) => {
    const url = await freshDatabase(kind)
    const [one, other] = [await Server.start(project, url), await Server.start(project, url)]
    const token = await register(one.address)
    const [unlucky, lucky] = [startWriters(one.address, token, 8), startWriters(other.address, token, 8)]
    for (let kill = 0; kill < kills; kill++) {
      await Promise.all([unlucky.more(50), lucky.more(50)])
      await sleep(Math.random() * 50)
      await one.kill()
      await lucky.more(50)
      await one.start()
    }
    await Promise.all([unlucky.stop(), lucky.stop()])
    for (const { program } of [one, other]) expect(await program.stop()).toBe(0)

    expect([...unlucky.faults, ...lucky.faults]).toEqual([])
    expect(lucky.statuses[0]).toBe(undefined)
    const acknowledged = [...unlucky.acknowledged, ...lucky.acknowledged]
    const { lost, doubled } = await lostAndDoubled(url, acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    return {
      done: `killed ${kills} times while 8 clients wrote through each`,
      seen: `${acknowledged.length} writes acknowledged, ${lucky.acknowledged.length} of them by the other, none lost`,
    }
  },
)
