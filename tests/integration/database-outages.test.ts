import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterEach, describe, expect, test } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { Proxy } from '../faults/support/proxy.ts'
import { freshDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const opened: Database[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()))
})

/** A database behind a network that can fall silent, with one connection and a limit that no test waits for. */
async function openBehindProxy(timeout = '50') {
  const url = await freshDatabase('postgresql')
  const proxy = await Proxy.start(Number(new URL(url).port))
  const database = openDatabase(
    settings({
      DATABASE_URL: proxy.through(url),
      DATABASE_TIMEOUT_SECONDS: timeout,
      DATABASE_POOL_SIZE: '1',
      DATABASE_PREPARED_STATEMENTS: 'false',
    }),
  )
  opened.push(database)
  return { proxy, database }
}

/** What work ends in, if it does so long before its limit. */
const outcome = (work: Promise<unknown>) =>
  Promise.race([
    work.then(
      () => 'done',
      (error: unknown) => error,
    ),
    sleep(30_000, 'late', { ref: false }),
  ])

describe('on postgresql alone', () => {
  test('a connection that died while idle is found out before it is used', async () => {
    const { proxy, database } = await openBehindProxy('2')
    await database.ping()
    proxy.blackhole()
    await sleep(1100)
    proxy.back(true)
    expect(await outcome(database.ping())).toBe('done')
  })

  test('who waits when the database is away is told when it is back, if their connection is lost', async () => {
    const { proxy, database } = await openBehindProxy()
    await database.ping()
    proxy.blackhole()
    const waiting = outcome(database.ping())
    // Until a new connection was tried in vain.
    await sleep(6000)
    proxy.back(true)
    expect(await waiting).toBeInstanceOf(UnavailableError)
    await database.ping()
  })

  test('who waits gets the answer, if it only came late; and so does who asks much', async () => {
    const { proxy, database } = await openBehindProxy()
    await database.ping()
    proxy.blackhole()
    const waiting = outcome(database.ping())
    await sleep(6000)
    proxy.back()
    expect(await waiting).toBe('done')
    expect(await outcome(sql`select pg_sleep(4)`.execute(database.query()))).toBe('done')
  })

  test('a new connection that does not come is given up long before the limit of a statement', async () => {
    const { proxy, database } = await openBehindProxy()
    proxy.blackhole()
    expect(await outcome(database.ping())).toBeInstanceOf(UnavailableError)
    proxy.back(true)
    await database.ping()
  })

  test('closing does not wait for what does not answer', async () => {
    const { proxy, database } = await openBehindProxy()
    await database.ping()
    proxy.blackhole()
    const waiting = outcome(database.ping())
    // Until it has been sent.
    await sleep(100)
    expect(await outcome(opened.pop()!.close())).toBe('done')
    expect(await waiting).toBeInstanceOf(UnavailableError)
  })
})
