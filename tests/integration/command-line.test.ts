import { existsSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../src/db/database.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { environment, settings } from '../support/settings.ts'

/** Lines that each begin with this and name a migration. */
const migrations = (beginning: string) => new RegExp(`^(${beginning} Migration\\d{14}_\\w+\n)+$`)

onEachDatabase((kind) => {
  const project = useProject()
  let database: Record<string, string>
  beforeAll(async () => {
    database = { ...environment, DATABASE_URL: await freshDatabase(kind, true) }
  })
  const app = (...parameters: string[]) => project.app(parameters, database)
  const rows = async () => {
    const { query, close } = openDatabase(settings(database))
    const [users, items] = await Promise.all(
      (['users', 'items'] as const).map((table) => query().selectFrom(table).select('id').execute()),
    )
    await close()
    return { users: users!.length, items: items!.length }
  }

  /** ASVS 16.3.3: a changed role is one security event. */
  async function roleIsChanged() {
    const { code, output } = await app('users', 'set-role', ' User@Example.com', 'moderator')
    expect(code).toBe(0)
    expect(output).toContain('has the role moderator')
    const { query, close } = openDatabase(settings(database))
    const { role, public_id } = await query()
      .selectFrom('users')
      .where('email', '=', 'user@example.com')
      .select(['role', 'public_id'])
      .executeTakeFirstOrThrow()
    const events = await query().selectFrom('audit_events').selectAll().where('event', '=', 'role.changed').execute()
    await close()
    expect(role).toBe('moderator')
    expect(events).toEqual([
      expect.objectContaining({
        user_public_id: public_id,
        reason: 'moderator',
        user_agent: expect.stringMatching(/^app users set-role by ./),
      }),
    ])
    const lines = output.split('\n').filter((line) => line.includes('"channel":"audit"'))
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({ event: 'role.changed', user: public_id, reason: 'moderator' }),
    ])
  }

  test('an operator migrates, looks, seeds, gives a role, and takes the migrations back', async () => {
    const before = await app('db', 'status')
    expect(before.code).toBe(1)
    expect(before.output).toMatch(
      /^(No migration is applied|There is no database yet)\.\n(pending Migration\d{14}_\w+\n)+$/,
    )

    expect(await app('db', 'upgrade')).toMatchObject({ code: 0, output: expect.stringMatching(migrations('applied')) })
    const after = await app('db', 'status')
    expect(after.code).toBe(0)
    expect(after.output).toMatch(/^(applied Migration\d{14}_\w+\n)+No migration is pending\.\n$/)

    expect(await app('db', 'seed')).toMatchObject({ code: 0, output: 'Seeded.\n' })
    expect(await rows()).toEqual({ users: 2, items: 3 })
    await roleIsChanged()
    expect(await app('db', 'downgrade', '--all')).toMatchObject({
      code: 0,
      output: expect.stringMatching(migrations('took back')),
    })
    expect((await app('db', 'status')).output).toMatch(/^No migration is applied\.\n(pending Migration\d{14}_\w+\n)+$/)
  })
})

describe('the command line', () => {
  const project = useProject()

  test('explains itself', async () => {
    const { code, output } = await project.app(['db', '--help'])
    expect(code).toBe(0)
    for (const command of ['migrate', 'upgrade', 'downgrade', 'status', 'check', 'seed'])
      expect(output).toContain(command)
    expect(existsSync(project.path('.env'))).toBe(false)
  })

  test.for([
    [['db', 'migrate'], "error: missing required argument 'description'"],
    [['db', 'downgrade', '--everything'], "error: unknown option '--everything'"],
  ] as const)('refuses %s', async ([parameters, message]) => {
    const { code, output } = await project.app([...parameters], environment)
    expect(code).toBe(2)
    expect(output).toContain(message)
    expect(existsSync(project.path('app.db'))).toBe(false)
  })

  test('writes a migration for both databases when a model was changed, and tells when one was forgotten', async () => {
    project.edit('src/models/item.model.ts', 'priority: p', 'stars: p.integer().default(3),\n    priority: p')
    const forgotten = await project.app(['db', 'check'])
    expect(forgotten.code).toBe(1)
    expect(forgotten.output).toBe(
      'Models and migrations differ (sqlite, postgresql): run npm run db:migrate -- "what changed"\n',
    )
    const written = await project.app(['db', 'migrate', 'add stars to items'])
    expect(written.code).toBe(0)
    expect(written.output).toMatch(
      /^wrote .+sqlite.+_add_stars_to_items\.ts\nwrote .+postgresql.+_add_stars_to_items\.ts\n$/,
    )
    expect(await project.app(['db', 'check'])).toMatchObject({ code: 0, output: 'Models and migrations agree.\n' })
  })

  test('refuses to seed in production', async () => {
    const { code, output } = await project.app(['db', 'seed'], { ...environment, NODE_ENV: 'production' })
    expect({ code, output }).toEqual({
      code: 1,
      output: expect.stringMatching(/^Seeding.* is not for production\.\n$/),
    })
  })

  test.for(['sqlite:////no-such-folder/app.db', 'postgresql://postgres:hidden@127.0.0.1:1/app'])(
    'says in one line that %s cannot be reached',
    async (url) => {
      const { code, output } = await project.app(['db', 'upgrade'], { ...environment, DATABASE_URL: url })
      expect(code).toBe(3)
      expect(output).toMatch(/^The database is not available.*\n$/)
      expect(output).not.toContain('hidden')
    },
  )

  test('migrates under the role that may change the schema, where one is given', async () => {
    const url = await freshDatabase('postgresql', true)
    const { code } = await project.app(['db', 'upgrade'], {
      ...environment,
      DATABASE_URL: url.replace(/:\d+\//, ':1/'),
      MIGRATION_DATABASE_URL: url,
    })
    expect(code).toBe(0)
  })
})
