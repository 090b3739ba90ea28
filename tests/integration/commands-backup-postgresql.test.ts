import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { startPostgresql, type PostgresqlServer } from '../support/postgresql.ts'
import { useProject } from '../support/process.ts'
import { environment } from '../support/settings.ts'

const folders = '/usr/lib/postgresql'
/** A PostgreSQL with its client programs, as Debian and its kin install it: npm's has a server alone. */
const installed = existsSync(folders)
  ? readdirSync(folders)
      .toSorted((one, other) => Number(other) - Number(one))
      .map((version) => join(folders, version, 'bin'))
      .find((bin) =>
        ['postgres', 'initdb', 'pg_dump', 'pg_restore', 'psql'].every((name) => existsSync(join(bin, name))),
      )
  : undefined

const pgDump = /(\d+)\./.exec(spawnSync('pg_dump', ['--version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
/** Of the server that npm installed. */
const serverVersion = 18

describe('without client programs that fit', () => {
  const project = useProject()
  let given: Record<string, string>
  beforeAll(async () => {
    given = { ...environment, DATABASE_URL: await freshDatabase('postgresql') }
    mkdirSync(project.path('files'))
    writeFileSync(project.path('files/a.dump'), 'no dump\n')
  })
  const file = (name: string) => project.path(`files/${name}`)

  test('where there are none, or no database, it is told, and nothing is left behind', async () => {
    const none = { ...given, PATH: project.path('files') }
    const away = { ...environment, DATABASE_URL: 'postgresql://app:hunter2@127.0.0.1:1/app' }
    const [backup, restore, missing, ...unreachable] = await Promise.all([
      project.app(['db', 'backup', file('b.dump')], none),
      project.app(['db', 'restore', file('a.dump'), '--yes'], none),
      project.app(['db', 'restore', file('c.dump'), '--yes'], given),
      project.app(['db', 'backup', file('d.dump')], away),
      project.app(['db', 'restore', file('a.dump'), '--yes'], away),
    ])
    const comes = "is not installed: it comes with PostgreSQL's client programs, of the server's version or later"
    expect(backup).toMatchObject({ code: 1, output: `pg_dump ${comes}\n` })
    expect(restore).toMatchObject({ code: 1, output: `pg_restore ${comes}\n` })
    expect(missing).toMatchObject({ code: 1, output: `There is no file ${file('c.dump')}\n` })
    for (const { code, output } of unreachable)
      expect([code, output]).toEqual([3, expect.stringMatching(/^The database is not available right now .*\n$/)])
    expect(readdirSync(project.path('files'))).toEqual(['a.dump'])
  })

  const isOld = pgDump !== undefined && Number(pgDump) < serverVersion
  test.skipIf(!isOld)('a pg_dump older than the server says so in one line (needs an old one)', async () => {
    const { code, output } = await project.app(['db', 'backup', file('b.dump')], given)
    expect([code, output]).toEqual([
      1,
      expect.stringMatching(/^pg_dump: aborting because of server version mismatch; .+\n$/),
    ])
    expect(readdirSync(project.path('files'))).toEqual(['a.dump'])
  })
})

describe.skipIf(!installed)(`with PostgreSQL's own programs (needs ${folders}/*/bin)`, () => {
  const project = useProject()
  let server: PostgresqlServer
  let given: Record<string, string>
  const password = 'own\'er %&#"'
  const url = (role: string, database = 'app') =>
    server.url.replace('postgres@', `${role}:${encodeURIComponent(password)}@`).replace(/postgres$/, database)
  /** As `postgres`, the administrator, or another role. */
  async function execute(role: string, ...statements: string[]) {
    const client = new pg.Client(role === 'postgres' ? server.url.replace(/postgres$/, 'app') : url(role))
    await client.connect()
    const results: pg.QueryResult<Record<string, unknown>>[] = []
    for (const statement of statements) results.push(await client.query(statement))
    await client.end()
    return results.map(({ rows }) => rows)
  }
  /** Everything that a restore must bring back: rows, structure and rights. */
  const content = () =>
    execute(
      'postgres',
      ...['users', 'items', 'sessions', 'audit_events', 'migrations'].map(
        (name) => `select * from ${name} order by id`,
      ),
      "select relname, relkind, relowner::regrole::text, relacl::text from pg_class where relnamespace = 'public'::regnamespace order by 1",
      "select indexdef from pg_indexes where schemaname = 'public' order by 1",
      "select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace order by 1",
      // Without the parentheses, which a dump puts elsewhere.
      "select tgname, translate(pg_get_triggerdef(oid), '()', '') from pg_trigger where not tgisinternal order by 1",
      'select last_value from items_id_seq',
    )
  const app = (...parameters: string[]) => project.app(parameters, given)

  beforeAll(async () => {
    server = await startPostgresql(installed)
    const root = new pg.Client(server.url)
    await root.connect()
    for (const role of ['owner', 'app'])
      await root.query(`create role ${role} login password ${pg.escapeLiteral(password)}`)
    await root.query('create database app owner owner')
    await root.end()
    // As a hosted PostgreSQL has it: an extension of somebody else's among our tables.
    await execute('postgres', 'create extension citext', 'grant create on schema public to owner')
    await execute(
      'owner',
      'alter default privileges grant select, insert, update, delete on tables to app',
      'alter default privileges grant usage on sequences to app',
    )

    // The programs, each telling with which arguments it was run.
    mkdirSync(project.path('bin'))
    for (const name of ['pg_dump', 'pg_restore', 'psql']) {
      const script = `#!/bin/sh\necho "$0 $@" >> '${project.path('arguments')}'\nexec ${join(installed!, name)} "$@"\n`
      writeFileSync(project.path(`bin/${name}`), script)
      chmodSync(project.path(`bin/${name}`), 0o755)
    }
    given = {
      ...environment,
      PATH: [project.path('bin'), process.env['PATH']].join(delimiter),
      DATABASE_URL: url('app'),
      MIGRATION_DATABASE_URL: url('owner'),
    }
    await app('db', 'upgrade')
    await app('db', 'seed', '--users', '50', '--items', '1500')
    mkdirSync(project.path('backups'))
  })
  afterAll(() => server.stop())

  test('a backup brings everything back, rights too, and takes away what came later', async () => {
    const file = project.path('backups/a.dump')
    // The owner's, which commands work on, without its password.
    const address = url('owner').replace(/(:\/\/owner):[^@]+/, '$1:hidden')
    expect((await app('users', 'set-role', 'user@example.com', 'moderator')).code).toBe(0)
    const before = await content()
    expect(await app('db', 'backup', file)).toMatchObject({
      code: 0,
      output: `${file} holds ${address} as it was a moment ago.\n`,
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(project.path('backups'))).toEqual(['a.dump'])
    expect((await app('db', 'backup', file)).output).toBe(`There is a ${file} already: name another file\n`)

    await execute(
      'owner',
      'delete from items where id % 2 = 0',
      "update users set first_name = 'Changed'",
      'drop table throttles',
      'revoke all on items from app',
      'create table later (id integer generated always as identity, user_id bigint references users (id))',
      'create view seen as select * from later',
    )
    // The server is still connected meanwhile.
    const reader = new pg.Client(url('app'))
    await reader.connect()
    await reader.query('select 1')
    expect(await app('db', 'restore', file, '--yes')).toMatchObject({
      code: 0,
      output: `${address} is as it was in ${file}.\n`,
    })
    expect((await reader.query("select count(*)::int as count from items where name <> ''")).rows).toEqual([
      { count: 1500 },
    ])
    await reader.query("insert into items (name, name_folded) values ('the application writes', '')")
    await reader.query("delete from items where name = 'the application writes'")
    await reader.end()
    // The sequence has moved by one.
    expect((await content()).slice(0, -1)).toEqual(before.slice(0, -1))
    expect((await app('db', 'status')).code).toBe(0)

    const told = readFileSync(project.path('arguments'), 'utf8')
    expect(told.match(/bin\/(pg_dump|pg_restore|psql) /g)).toHaveLength(4)
    for (const secret of [password, encodeURIComponent(password)]) expect(told).not.toContain(secret)
  })

  test('a restore fills a new database, search index and extension included', async () => {
    await execute('postgres', 'create database rehearsal owner owner')
    const file = project.path('backups/rehearsal.dump')
    const address = url('owner', 'rehearsal')
    const elsewhere = { ...given, DATABASE_URL: address, MIGRATION_DATABASE_URL: address }
    expect((await app('db', 'backup', file)).code).toBe(0)
    expect((await project.app(['db', 'restore', file, '--yes'], elsewhere)).code).toBe(0)
    const client = new pg.Client(address)
    await client.connect()
    const { rows } = await client.query("select indexdef from pg_indexes where indexname = 'items_search'")
    await client.end()
    expect(rows).toEqual([{ indexdef: expect.stringContaining('gin_trgm_ops') }])
  })

  test('a restore that fails in the middle changes nothing', async () => {
    await execute('owner', 'create schema extra')
    const whole = project.path('backups/b.dump')
    // A password may also stand in the query of the URL.
    const query = server.url.replace('postgres@', '').replace(/postgres$/, 'app?user=owner&password=hunter2')
    expect((await project.app(['db', 'backup', whole], { ...given, MIGRATION_DATABASE_URL: query })).code).toBe(0)
    expect(readFileSync(project.path('arguments'), 'utf8')).not.toContain('hunter2')
    await execute('owner', "update users set first_name = 'Changed'", 'create table later (id integer)')
    const before = await content()
    const bytes = readFileSync(whole)
    const cut = project.path('backups/cut.dump')
    writeFileSync(cut, bytes.subarray(0, Math.floor(bytes.length / 2)))
    const text = project.path('backups/text.dump')
    writeFileSync(text, 'no dump\n'.repeat(100))

    const [broken, foreign] = [await app('db', 'restore', cut, '--yes'), await app('db', 'restore', text, '--yes')]
    expect([broken.code, broken.output]).toEqual([1, expect.stringMatching(/^(pg_restore|psql): .+\n$/)])
    expect([foreign.code, foreign.output]).toEqual([1, expect.stringMatching(/^pg_restore: .+\n$/)])
    // PostgreSQL itself refuses a part: of another schema nothing is dropped.
    const refused = await app('db', 'restore', whole, '--yes')
    expect([refused.code, refused.output]).toEqual([1, 'psql: schema "extra" already exists\n'])
    expect(await content()).toEqual(before)
    await execute('owner', 'drop schema extra')
    expect((await app('db', 'restore', whole, '--yes')).code).toBe(0)
    expect(await content()).not.toEqual(before)
  })

  test('a dump of something else is no backup', async () => {
    const file = project.path('backups/other.dump')
    const other = server.url
    spawnSync(join(installed!, 'pg_dump'), ['--format=custom', `--file=${file}`, other])
    const { code, output } = await app('db', 'restore', file, '--yes')
    expect([code, output]).toEqual([1, `${file} is no backup of this service\n`])
  })
})
