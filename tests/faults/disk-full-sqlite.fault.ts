import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, send, startReaders, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'
import { fill, mountTmpfs, noTmpfs } from './support/tmpfs.ts'

const [size, rounds] = [8, 3]

fault(
  'a full disk under SQLite',
  {
    promise:
      'Writes are 503 with Retry-After, reads go on; with room again writes go on, and nothing acknowledged is lost',
    on: ['sqlite'],
    cannot: noTmpfs,
  },
  async ({ kind, project }) => {
    const file = join(mountTmpfs(size), 'app.db')
    copyFileSync((await freshDatabase(kind)).slice('sqlite:///'.length), file)
    const url = `sqlite:///${file}`
    const server = await Server.start(project, url)
    const token = await register(server.address)
    const writers = startWriters(server.address, token)
    const readers = startReaders(`${server.address}/api/v1/items`, token)
    let slowest = 0
    for (let round = 0; round < rounds; round++) {
      await writers.more(100)
      const empty = fill(join(file, '..'))
      const refused = writers.statuses[503] ?? 0
      while ((writers.statuses[503] ?? 0) < refused + 100) await sleep(10)
      await readers.more(50)
      // Another write, of several rows. Now and then one finds room in the log, when that begins anew.
      const person = { password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }
      const body = { ...person, email: `${round}@example.com` }
      const { status, headers } = await send(`${server.address}/api/v1/auth/register`, { body })
      expect(['201 without', '503 with']).toContain(`${status} ${headers['retry-after'] ? 'with' : 'without'}`)
      empty()
      const begin = performance.now()
      await writers.more(1)
      slowest = Math.max(slowest, performance.now() - begin)
    }
    await Promise.all([writers.stop(), readers.stop()])
    expect(await server.program.stop()).toBe(0)

    expect(writers.faults).toEqual([])
    expect(Object.keys(writers.statuses).toSorted()).toEqual(['201', '503'])
    expect(Object.keys(readers.statuses)).toEqual(['200'])
    const { lost, doubled } = await lostAndDoubled(url, writers.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    const database = new DatabaseSync(file)
    expect(database.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    database.close()
    expect(slowest).toBeLessThan(5000)
    return {
      done: `filled ${rounds} times while 16 clients wrote and 4 read`,
      seen: `${writers.statuses[503]} times 503, reads all 200; ${writers.acknowledged.length} writes acknowledged, none lost; writing again after ${(slowest / 1000).toFixed(1)} s at most; integrity_check ok`,
    }
  },
)
