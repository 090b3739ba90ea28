import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { countRows } from '../../src/db/bulk-seed.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'
import { settings } from '../support/settings.ts'

onEachDatabase((kind) => {
  let one: Database
  let other: Database
  beforeAll(async () => {
    const config = settings({ DATABASE_URL: await freshDatabase(kind) })
    one = openDatabase(config)
    other = openDatabase(config)
  })
  afterAll(() => Promise.all([one.close(), other.close()]))

  test('who counts while a batch is added counts it, though a request has committed a row among its numbers', async () => {
    const half = Promise.withResolvers<void>()
    const resume = Promise.withResolvers<void>()
    const add = (database: Database, name: string) =>
      insertItems(
        database,
        Array.from({ length: 10 }, () => ({ name })),
      )
    const batch = one.transaction(async () => {
      await one.query().executeQuery(CompiledQuery.raw(one.engine.migrationLock))
      await add(one, 'of the batch')
      half.resolve()
      await resume.promise
      await add(one, 'of the batch too')
    })
    await half.promise
    // SQLite has one writer at a time.
    if (kind === 'postgresql') await add(other, 'of a request')
    const counted = countRows(other, 'items')
    // Long enough for a count that does not wait.
    await Promise.race([counted, sleep(500)])
    resume.resolve()
    await batch
    const expected = kind === 'postgresql' ? 30 : 20
    expect(await counted).toEqual({ count: expected, newest: expected })
  })
})
