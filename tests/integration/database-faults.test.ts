import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { ConflictError, UnavailableError } from '../../src/core/errors.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { createUserRepository } from '../../src/repositories/user.repository.ts'
import { behindPgbouncer, freshDatabase, onEachDatabase } from '../support/databases.ts'
import { countItems } from '../support/items.ts'
import { settings } from '../support/settings.ts'

const opened: Database[] = []

/** A database whose statements may take a second; closed after the test. */
function openQuick(url: string, poolSize = 5): Database {
  const config = settings({ DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: '1', DATABASE_POOL_SIZE: `${poolSize}` })
  const database = openDatabase(config)
  opened.push(database)
  return database
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()))
})

/** What work ends in, for those that end while the test does something else. */
const outcome = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: unknown) => error,
  )

const sleepInDatabase = (database: Database, seconds: number) =>
  sql`select pg_sleep(${seconds})`.execute(database.query())

onEachDatabase((kind) => {
  test('an e-mail that is taken is a conflict that names the field, in a transaction too', async () => {
    const database = openQuick(await freshDatabase(kind))
    const users = createUserRepository(database)
    const person = { email: 'ada@example.com', password_hash: 'x', first_name: 'Ada', last_name: 'Lovelace' }
    await users.add(person)
    // One after the other: the second could fail while nobody listens yet.
    for (const attempt of [() => users.add(person), () => database.transaction(() => users.add(person))]) {
      const error = await attempt().catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ConflictError)
      expect(error).toMatchObject({ code: 'conflict', errors: [{ field: 'email' }] })
    }
    expect(await database.query().selectFrom('users').select('id').execute()).toHaveLength(1)
  })

  test('a refused foreign key is a bug, not a conflict and not an outage', async () => {
    const items = createItemRepository(openQuick(await freshDatabase(kind)))
    const error = await items.add({ name: 'of nobody', owner_id: 4711 }).catch((thrown: unknown) => thrown)
    expect(error).not.toBeInstanceOf(ConflictError)
    expect(error).not.toBeInstanceOf(UnavailableError)
    expect(error).toMatchObject({ message: expect.stringMatching(/foreign key/i) })
  })
})

describe('on sqlite alone', () => {
  test('while another process holds the file a write waits, then gives up; reads go on', async () => {
    const url = await freshDatabase('sqlite')
    const database = openQuick(url)
    const items = createItemRepository(database)
    const holder = new DatabaseSync(url.slice('sqlite:///'.length))
    holder.exec('begin immediate')
    const late = outcome(items.add({ name: 'too late' }))
    expect(await countItems(openQuick(url))).toBe(0)
    expect(await late).toBeInstanceOf(UnavailableError)

    const patient = items.add({ name: 'in time' })
    holder.exec('commit')
    holder.close()
    expect(await patient).toMatchObject({ name: 'in time' })
  })

  test('a write waits no longer when the clock is put back meanwhile', async () => {
    const url = await freshDatabase('sqlite')
    const holder = new DatabaseSync(url.slice('sqlite:///'.length))
    holder.exec('begin immediate')
    onTestFinished(() => holder.close())
    const late = outcome(createItemRepository(openQuick(url)).add({ name: 'too late' }))
    const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 60 * 60 * 1000)
    onTestFinished(() => clock.mockRestore())
    expect(await Promise.race([late, sleep(5000, 'still waiting')])).toBeInstanceOf(UnavailableError)
  })

  test('a file that cannot be opened is an outage, which ends when it can', async () => {
    const folder = join(inject('sqlite'), randomUUID())
    const database = openQuick(`sqlite:///${folder}/app.db`)
    await expect(database.ping()).rejects.toThrow(UnavailableError)
    await expect(database.transaction(() => database.ping())).rejects.toThrow(UnavailableError)
    mkdirSync(folder)
    await database.ping()
  })
})

describe('on postgresql alone', () => {
  let url: string
  let administration: pg.Client
  beforeAll(async () => {
    url = await freshDatabase('postgresql')
    administration = new pg.Client(url)
    await administration.connect()
  })
  afterAll(() => administration.end())

  /** Ends this many connections from the server's side, as a restart would, once they are in the state. */
  const kill = (count: number, state: 'active' | 'idle') =>
    vi.waitFor(async () => {
      const { rows } = await administration.query<{ pid: number }>(
        'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = $1',
        [state],
      )
      expect(rows).toHaveLength(count)
      for (const { pid } of rows) await administration.query('select pg_terminate_backend($1, 5000)', [pid])
    })

  // A PgBouncer has time limits and connections of its own.
  test.skipIf(behindPgbouncer)('statements, locks and transactions that do nothing have a time limit', async () => {
    const database = openQuick(url)
    await administration.query('begin')
    await administration.query('lock table items')
    const idle = database.transaction(async () => {
      await database.query().selectFrom('users').select('id').execute()
      await sleep(1500)
    })
    await Promise.all(
      [sleepInDatabase(database, 5), countItems(database), idle].map((work) =>
        expect(work).rejects.toThrow(UnavailableError),
      ),
    )
    await administration.query('rollback')
    expect(await countItems(database)).toBe(0)
  })

  test('when every connection stays in use, who waits for one is told in time', async () => {
    const database = openQuick(url, 1)
    const refused = new AbortController()
    const holder = database.transaction(async () => {
      while (!refused.signal.aborted) await sleepInDatabase(database, 0.05)
    })
    await expect(database.ping()).rejects.toThrow(UnavailableError)
    refused.abort()
    await holder
    await database.ping()
  })

  test.skipIf(behindPgbouncer)(
    'a connection killed in the middle of a statement is an outage for it alone',
    async () => {
      const database = openQuick(url)
      const statement = outcome(sleepInDatabase(database, 30))
      const transaction = outcome(
        database.transaction(async () => {
          await createItemRepository(database).add({ name: 'lost' })
          await sleepInDatabase(database, 30)
        }),
      )
      await kill(2, 'active')
      expect(await statement).toBeInstanceOf(UnavailableError)
      expect(await transaction).toBeInstanceOf(UnavailableError)
      await vi.waitFor(() => database.ping())
      expect(await countItems(database)).toBe(0)
    },
  )

  test.skipIf(behindPgbouncer)('connections killed while idle are replaced', async () => {
    const database = openQuick(url)
    await Promise.all([sleepInDatabase(database, 0.05), sleepInDatabase(database, 0.05)])
    await kill(2, 'idle')
    await vi.waitFor(() => database.ping())
    expect(await Promise.all([countItems(database), countItems(database), countItems(database)])).toEqual([0, 0, 0])
  })

  test.skipIf(process.platform === 'win32')(
    'a connection that falls silent is given up and never used again',
    async () => {
      const database = openQuick(url, 1)
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(database.query())
      const silent = rows[0]!.pid
      process.kill(silent, 'SIGSTOP')
      try {
        await expect(database.ping()).rejects.toThrow(UnavailableError)
        const next = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(database.query())
        expect(next.rows[0]!.pid).not.toBe(silent)
      } finally {
        process.kill(silent, 'SIGCONT')
      }
    },
  )

  test('a database that is closed while it connects ends, and so does the work that asked for it', async () => {
    const database = openDatabase(settings({ DATABASE_URL: url }))
    const work = outcome(database.ping())
    await setImmediate()
    await expect(database.close()).resolves.toBeUndefined()
    await work
  })

  test('a certificate that the URL names and that cannot be read is an outage, which tells the file', async () => {
    const missing = '/nowhere/ca.crt'
    const database = openQuick(`${url}?sslmode=verify-full&sslrootcert=${missing}`)
    const cause = expect.objectContaining({ code: 'ENOENT', message: expect.stringContaining(missing) as string })
    for (const work of [() => database.ping(), () => database.transaction(() => database.ping())])
      expect(await outcome(work())).toMatchObject({ code: 'unavailable', cause })
  })

  test('where nobody listens, every statement is an outage', async () => {
    const probe = createServer().listen(0, '127.0.0.1')
    await once(probe, 'listening')
    const { port } = probe.address() as AddressInfo
    probe.close()
    const database = openQuick(`postgresql://postgres@127.0.0.1:${port}/postgres`)
    await expect(database.ping()).rejects.toThrow(UnavailableError)
    await expect(database.transaction(() => database.ping())).rejects.toThrow(UnavailableError)
  })
})

describe('on sqlite, while another process holds the file', () => {
  test('writers end in 503 within one limit, however many wait, and readers pass', async () => {
    const url = await freshDatabase('sqlite')
    const items = createItemRepository(openQuick(url))
    const { public_id } = await items.add({ name: 'before' })
    const other = new DatabaseSync(url.slice('sqlite:///'.length))
    other.exec('begin immediate')

    const order: string[] = []
    const writers = Array.from({ length: 4 }, () =>
      outcome(items.add({ name: 'never' })).then((end) => {
        order.push('writer')
        return end
      }),
    )
    expect((await items.find(public_id))?.name).toBe('before')
    order.push('reader')
    // Were they to wait one behind the other, the last would not give up before the fourth limit.
    const ends = await Promise.race([Promise.all(writers), sleep(3500, 'late')])
    expect(ends).toEqual(Array(4).fill(expect.any(UnavailableError)))
    expect(order[0]).toBe('reader')
    other.exec('rollback')
    other.close()
    expect((await items.add({ name: 'after' })).name).toBe('after')
  })
})
