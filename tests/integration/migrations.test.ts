import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { sql } from 'kysely'
import { pino } from 'pino'
import { afterEach, describe, expect, test } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { migrationStatus } from '../../src/db/migrations.ts'
import { downgrade, findDrift, upgrade } from '../../src/db/migrator.ts'
import { requireMigrated } from '../../src/db/prepare.ts'
import { models } from '../../src/models/index.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { settings } from '../support/settings.ts'

const opened: Database[] = []
function open(url: string, poolSize = 5): Database {
  const database = openDatabase(settings({ DATABASE_URL: url, DATABASE_POOL_SIZE: `${poolSize}` }))
  opened.push(database)
  return database
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()))
})

const catalogs = {
  sqlite: [sql`select type, name, tbl_name, sql from sqlite_master order by type, name`],
  postgresql: [
    sql`select table_name, column_name, data_type, character_maximum_length, datetime_precision, is_nullable,
      column_default, generation_expression from information_schema.columns where table_schema = 'public' order by 1, ordinal_position`,
    sql`select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1`,
    sql`select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace order by 1`,
    sql`select tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal order by 1`,
  ],
}

/** Tables, columns, defaults, indexes, keys, checks and triggers, as the database tells them. */
const schemaOf = async (database: Database) =>
  Promise.all(catalogs[database.engine.kind].map(async (query) => (await query.execute(database.query())).rows))

/** Virtual tables, and what belongs to them, count as indexes. */
const tablesOf = async ({ engine, query }: Database) =>
  (await engine.tables.execute(query())).rows.map(({ name }) => name).toSorted()

const columnsOf = async (database: Database, table: string) =>
  (await database.query().introspection.getTables()).find(({ name }) => name === table)!.columns.map(({ name }) => name)

onEachDatabase((kind) => {
  const project = useProject()

  test('up, down and up again find the same schema', async () => {
    const database = open(await freshDatabase(kind, true))
    const names = await upgrade(database)
    expect(names.length).toBeGreaterThan(0)
    expect(await tablesOf(database)).toEqual([...models.map(({ meta }) => meta.tableName), 'migrations'].toSorted())
    const schema = await schemaOf(database)

    expect(await downgrade(database, true)).toEqual(names.toReversed())
    expect(await tablesOf(database)).toEqual(['migrations'])
    expect(await upgrade(database)).toEqual(names)
    expect(await schemaOf(database)).toEqual(schema)
  })

  test('migrating twice, or down from nothing, does nothing', async () => {
    const database = open(await freshDatabase(kind, true))
    expect(await downgrade(database)).toEqual([])
    await upgrade(database)
    expect(await upgrade(database)).toEqual([])
  })

  test('the status tells what is applied and what is pending, and asking changes nothing', async () => {
    const database = open(await freshDatabase(kind, true))
    const { applied, pending } = await migrationStatus(database)
    expect(applied).toEqual([])
    expect(await tablesOf(database)).toEqual([])
    expect(await upgrade(database)).toEqual(pending)
    expect(await migrationStatus(database)).toEqual({ applied: pending, pending: [], unknown: [] })

    // A newer version of the code was here.
    const later = 'Migration99990101000000_later'
    await sql`insert into migrations (name) values (${later})`.execute(database.query())
    expect(await migrationStatus(database)).toEqual({ applied: [...pending, later], pending: [], unknown: [later] })
  })

  test('of servers that upgrade one empty database at once, one migrates it', async () => {
    const url = await freshDatabase(kind, true)
    const done = await Promise.all([open(url), open(url), open(url, 1)].map(upgrade))
    const { applied } = await migrationStatus(open(url))
    expect(done.flat()).toEqual(applied)
    expect(done.filter((names) => names.length > 0)).toHaveLength(1)
  })

  test('a migration that fails takes back everything that was pending with it', async () => {
    const { upgrade: upgradeCopy } = await project.migrator()
    const broken = project.path(`migrations/${kind}/Migration99991231000000_broken.ts`)
    writeFileSync(
      broken,
      `import { Migration } from '@mikro-orm/migrations'
       export class Broken extends Migration {
         override up() {
           this.addSql('create table half_done (id integer)')
           this.addSql('insert into nowhere values (1)')
         }
       }`,
    )
    const database = open(await freshDatabase(kind, true))
    await expect(upgradeCopy(database)).rejects.toThrow(/nowhere/)
    expect(await tablesOf(database)).toEqual(['migrations'])
    expect((await migrationStatus(database)).applied).toEqual([])

    rmSync(broken)
    await upgradeCopy(database)
    expect(await tablesOf(database)).toContain('users')
  })
})

describe('models and migrations', () => {
  const untouched = useProject()
  const changed = useProject()

  test('agree in this project', async () => {
    expect(await findDrift()).toEqual([])
  })

  test('disagree when the last state on file lacks a column', async () => {
    const file = untouched.path('migrations/postgresql/.snapshot.json')
    const snapshot = JSON.parse(readFileSync(file, 'utf8')) as { tables: { name: string; columns: object }[] }
    const users = snapshot.tables.find(({ name }) => name === 'users')!
    users.columns = Object.fromEntries(Object.entries(users.columns).filter(([name]) => name !== 'last_login'))
    writeFileSync(file, JSON.stringify(snapshot))
    expect(await (await untouched.migrator()).findDrift()).toEqual(['postgresql'])
  })

  test('a changed model makes a migration for both databases, which runs up and down on both', async () => {
    changed.edit(
      'src/models/user.model.ts',
      'role: p.enum',
      'nickname: p.string().length(50).strictNullable(),\n    role: p.enum',
    )
    changed.edit(
      'src/models/item.model.ts',
      'priority: p.integer()',
      'stars: p.integer().default(3),\n    priority: p.integer()',
    )
    const copy = await changed.migrator()
    expect(await copy.findDrift()).toEqual(['sqlite', 'postgresql'])

    const files = await copy.createMigrations('Add  nicknames & stars!')
    const name = expect.stringMatching(/^Migration\d{14}_add_nicknames_stars\.ts$/)
    expect(files.map((file) => basename(file))).toEqual([name, name])
    expect(await copy.findDrift()).toEqual([])
    expect(await copy.createMigrations('nothing changed')).toEqual([])

    for (const [index, kind] of (['sqlite', 'postgresql'] as const).entries()) {
      const text = readFileSync(files[index]!, 'utf8')
      for (const direction of ['override up()', 'override down()']) expect(text).toContain(direction)

      const database = open(await freshDatabase(kind))
      const before = await schemaOf(database)
      const [users, items] = [await columnsOf(database, 'users'), await columnsOf(database, 'items')]
      expect(await copy.upgrade(database)).toEqual([basename(files[index]!, '.ts')])
      expect(await columnsOf(database, 'users')).toEqual([...users, 'nickname'])
      expect(await columnsOf(database, 'items')).toEqual([...items, 'stars'])
      expect(await copy.downgrade(database)).toEqual([basename(files[index]!, '.ts')])
      expect(await schemaOf(database)).toEqual(before)
    }
  })
})

test("a table of the same name in somebody else's schema is none of ours", async () => {
  const database = open(await freshDatabase('postgresql', true))
  await sql`create schema storage`.execute(database.query())
  await sql`create table storage.migrations (id integer)`.execute(database.query())
  expect((await migrationStatus(database)).applied).toEqual([])
})

test('a database that is away is waited for, but not by a worker that takes the place of one that serves', async () => {
  const database = open('postgresql://nobody@127.0.0.1:1/nothing')
  const log = pino({ level: 'silent' })
  await expect(requireMigrated(database, log)).resolves.toBeUndefined()
  await expect(requireMigrated(database, log, true)).rejects.toThrow(UnavailableError)
})
