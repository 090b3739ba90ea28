import { writeFileSync } from 'node:fs'
import { CompiledQuery } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { freshDatabase, onEachDatabase, type DatabaseKind } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'
import { useProject } from '../support/process.ts'
import { settings } from '../support/settings.ts'

// SQLite alters little in place: a table is made anew, filled from the old one, and takes its name. Dropping the
// old one would take along, by their foreign keys, the rows that point to it.

const laterOn = '2040-01-01T00:00:00.000Z'

/** A database with accounts, one of them deleted, their sessions and their items. */
function useFilledDatabase(kind: DatabaseKind) {
  const filled = {} as { database: Database; rows: () => ReturnType<typeof rowsOf> }
  beforeEach(async () => {
    const config = settings({ DATABASE_URL: await freshDatabase(kind) })
    const database = openDatabase(config)
    const person = { password_hash: 'x', first_name: 'Ada', last_name: 'Lovelace' }
    for (const email of ['one@example.com', 'two@example.com']) {
      const deleted_at = email.startsWith('two') ? laterOn : null
      const { id } = await database
        .query()
        .insertInto('users')
        .values({ ...person, email, deleted_at })
        .returning('id')
        .executeTakeFirstOrThrow()
      const session = { user_id: id, expires_at: laterOn, idle_expires_at: laterOn }
      await database.query().insertInto('sessions').values(session).execute()
      await insertItems(database, [{ name: 'hers', owner_id: id }, { name: "nobody's" }])
    }
    filled.database = database
    filled.rows = () => rowsOf(openDatabase(config))
  })
  afterEach(() => filled.database.close())
  return filled
}

/** Every row, as a server started now would read it. */
async function rowsOf(database: Database) {
  const tables = (['users', 'sessions', 'items'] as const).map((table) =>
    database.query().selectFrom(table).selectAll().orderBy('id').execute(),
  )
  const rows = await Promise.all(tables)
  await database.close()
  return rows
}

/** Deleting an account must still end its sessions. */
async function expectForeignKeysAtWork(database: Database) {
  const { id } = await database.query().selectFrom('users').select('id').limit(1).executeTakeFirstOrThrow()
  await database.query().deleteFrom('users').where('id', '=', id).execute()
  const sessions = await database.query().selectFrom('sessions').select('user_id').execute()
  expect(sessions).toHaveLength(1)
  expect(sessions).not.toContainEqual({ user_id: id })
}

onEachDatabase((kind) => {
  const filled = useFilledDatabase(kind)
  const [stricter, larger] = [useProject(), useProject()]

  test('another check on accounts loses no account, session or item, up and down', async () => {
    stricter.edit('src/models/user.model.ts', 'email = lower(email)', 'email = lower(email) and length(email) > 2')
    const { createMigrations, upgrade, downgrade } = await stricter.migrator()
    await createMigrations('refuse short e-mails')

    const { database, rows } = filled
    const before = await rows()
    expect(await upgrade(database)).toHaveLength(1)
    expect(await rows()).toEqual(before)
    await expect(database.query().updateTable('users').set({ email: 'a' }).execute()).rejects.toThrow(/check/i)

    expect(await downgrade(database)).toHaveLength(1)
    expect(await rows()).toEqual(before)
    await expectForeignKeysAtWork(database)
  })

  test('columns whose values are computed can be added to tables that hold rows, and taken away', async () => {
    larger.edit('src/models/session.model.ts', 'publicId, time', 'publicId, softDelete, time')
    larger.edit('src/models/session.model.ts', '...timestamps', '...timestamps,\n    ...softDelete')
    larger.edit('src/models/item.model.ts', 'softDelete, timestamps', 'softDelete, time, timestamps')
    larger.edit('src/models/item.model.ts', 'priority: p', "published_at: time().defaultRaw('now()'),\n    priority: p")
    const { createMigrations, upgrade, downgrade } = await larger.migrator()
    await createMigrations('delete sessions softly, publish items')

    const { database, rows } = filled
    const before = await rows()
    expect(await upgrade(database)).toHaveLength(1)
    const [users, sessions, items] = await rows()
    expect(users).toEqual(before[0])
    expect(sessions).toEqual(before[1]!.map((row) => ({ ...row, deleted_at: null, is_deleted: false })))
    expect(items).toEqual(before[2]!.map((row) => ({ ...row, published_at: expect.stringMatching(/^20.+Z$/) })))

    expect(await downgrade(database)).toHaveLength(1)
    expect(await rows()).toEqual(before)
    await expectForeignKeysAtWork(database)
  })
})

describe('on sqlite alone', () => {
  const filled = useFilledDatabase('sqlite')
  const project = useProject()

  test('a migration that leaves a row pointing nowhere is refused and changes nothing', async () => {
    writeFileSync(
      project.path('migrations/sqlite/Migration99991231000000_forget_accounts.ts'),
      `import { Migration } from '@mikro-orm/migrations'
       export class ForgetAccounts extends Migration {
         override up() { this.addSql('delete from users') }
       }`,
    )
    const { database, rows } = filled
    const before = await rows()
    const { upgrade } = await project.migrator()
    await expect(upgrade(database)).rejects.toThrow('4 rows that point nowhere')
    expect(await rows()).toEqual(before)
    const pragma = await database.query().executeQuery(CompiledQuery.raw('pragma foreign_keys'))
    expect(pragma.rows).toEqual([{ foreign_keys: 1 }])
  })
})
