import type { Command } from 'commander'
import type { Config } from '../core/config.ts'
import { createPasswords } from '../core/security/passwords.ts'
import type { Database } from '../db/database.ts'
import { migrationStatus } from '../db/migrations.ts'
import { seed } from '../db/seed.ts'
import { databaseStats } from '../db/stats.ts'
import { requireMigrated, withDatabase } from './context.ts'
import { confirm, showProgress, UsageError } from './questions.ts'
import { complain, printJson, printTable, say } from './terminal.ts'

interface Yes {
  yes?: true
}

interface Json {
  json?: true
}

/** Loaded by the commands that need it: it brings the ORM along. */
const migrator = () => import('../db/migrator.ts')

const tell = (names: string[], done: string, nothing: string) => {
  for (const name of names) say(`${done} ${name}`)
  if (names.length === 0) say(nothing)
}

/** @throws UnavailableError when there is a database and it is away; PostgreSQL's programs tell it as any other failure */
const requireAnswer = async ({ engine, ping }: Database): Promise<void> => {
  if (engine.exists()) await ping()
}

const refuseInProduction = ({ NODE_ENV }: Config, what: string) => {
  if (NODE_ENV === 'production') throw new Error(`${what} is not for production.`)
}

/** `app db …`: the database. */
export function dbCommands(app: Command): void {
  const db = app.command('db').description('the database: migrations, seeds, backups')

  db.command('migrate')
    .description('write a migration, for both databases, from what changed in the models')
    .argument('<description>', 'a few words, such as "add tags to items"')
    .action(async (description: string) => {
      const { createMigrations } = await migrator()
      tell(await createMigrations(description), 'wrote', 'The models have not changed: nothing to write.')
    })

  db.command('upgrade')
    .description('apply every pending migration')
    .action(() =>
      withDatabase(async ({ database }) => {
        const { upgrade } = await migrator()
        tell(await upgrade(database), 'applied', 'The database is up to date.')
      }),
    )

  db.command('downgrade')
    .description('take back the last migration; in production it asks')
    .option('--all', 'take back every migration: this empties the database')
    .option('--yes', 'do not ask')
    .action(({ all, yes }: Yes & { all?: true }) =>
      withDatabase(async ({ database, config, address }) => {
        const isProduction = config.NODE_ENV === 'production'
        if (isProduction) await confirm(`Drop tables or columns of ${address}, with their data?`, yes)
        const { downgrade } = await migrator()
        tell(await downgrade(database, all), 'took back', 'No migration is applied.')
      }),
    )

  db.command('status')
    .description('show which migrations are applied; exit code 1 when some are pending')
    .option('--json', 'print JSON')
    .action(({ json }: Json) =>
      withDatabase(async ({ database }) => {
        const status = await migrationStatus(database)
        if (status.pending.length > 0) process.exitCode = 1
        if (json) return printJson(status)
        tell(
          status.applied,
          'applied',
          database.engine.exists() ? 'No migration is applied.' : 'There is no database yet.',
        )
        tell(status.pending, 'pending', 'No migration is pending.')
        for (const name of status.unknown) complain(`${name} was applied by a newer version than this`)
      }),
    )

  db.command('check')
    .description('exit code 1 when a model was changed and its migration forgotten; needs no database')
    .action(async () => {
      const { findDrift } = await migrator()
      const drifted = await findDrift()
      if (drifted.length > 0)
        throw new Error(
          `Models and migrations differ (${drifted.join(', ')}): run npm run db:migrate -- "what changed"`,
        )
      say('Models and migrations agree.')
    })

  db.command('seed')
    .description(
      'fill an empty database with the test users and sample items; with numbers, fill it up to as many, beside running servers too',
    )
    .option('--users <n>', 'accounts in all, each with the password of the test users')
    .option('--items <n>', 'items in all; ten million take minutes')
    .action((given: { users?: string; items?: string }) => {
      const wanted = { users: amount('--users', given.users), items: amount('--items', given.items) }
      return withDatabase(async ({ database, config }) => {
        refuseInProduction(config, 'Seeding, with passwords that everybody knows,')
        await requireMigrated(database)
        const isNew = await seed(database, createPasswords(config))
        say(isNew ? 'Seeded.' : 'There are users already: the test users and sample items were left out.')
        await fillUp(database, config, wanted)
      })
    })

  db.command('reset')
    .description('drop everything, migrate and seed anew; asks, and refuses in production')
    .option('--yes', 'do not ask')
    .action(({ yes }: Yes) =>
      withDatabase(async ({ database, config, address }) => {
        refuseInProduction(config, 'Dropping everything')
        await confirm(`Drop everything in ${address}?`, yes)
        const { reset } = await migrator()
        tell(await reset(database), 'applied', 'There are no migrations.')
        await seed(database, createPasswords(config))
        say('Seeded.')
      }),
    )

  db.command('stats')
    .description('show how large the database and its tables are')
    .option('--json', 'print JSON')
    .action(({ json }: Json) =>
      withDatabase(async ({ database }) => {
        if (!database.engine.exists()) throw new Error('There is no database yet: run "app db upgrade" first')
        const stats = await databaseStats(database)
        if (json) return printJson(stats)
        const rows = stats.tables.map(({ name, rows: count, bytes }) => [name, count, size(bytes)])
        printTable(['table', 'rows', 'size'], [...rows, [stats.version, '', size(stats.bytes)]])
      }),
    )

  db.command('backup')
    .description('write the database into a new file, while it is used; PostgreSQL by pg_dump')
    .argument('<file>', 'a file that is not there yet')
    .action((file: string) =>
      withDatabase(async ({ database, address }) => {
        await requireAnswer(database)
        await database.engine.backup(file)
        say(`${file} holds ${address} as it was a moment ago.`)
      }),
    )

  db.command('restore')
    .description('replace everything in the database by a backup, or nothing of it; asks')
    .argument('<file>', 'what "db backup" wrote, of the same kind of database')
    .option('--yes', 'do not ask')
    .action((file: string, { yes }: Yes) =>
      withDatabase(async ({ database, address }) => {
        await confirm(`Replace everything in ${address} by ${file}?`, yes)
        await requireAnswer(database)
        await database.engine.restore(file)
        const { pending, unknown } = await migrationStatus(database)
        say(`${address} is as it was in ${file}.`)
        if (pending.length > 0) say(`Migrations that came later: ${pending.length}. Run "app db upgrade".`)
        if (unknown.length > 0) complain(`It is from a newer version than this: ${unknown.join(', ')}`)
      }),
    )
}

/** Adds what is missing to the numbers wanted, telling how far it is. */
async function fillUp(database: Database, config: Config, wanted: { users: number; items: number }): Promise<void> {
  const { addItems, addUsers, countRows } = await import('../db/bulk-seed.ts')
  for (const table of ['users', 'items'] as const) {
    if (wanted[table] === 0) continue
    const start = await countRows(database, table)
    const missing = Math.max(0, wanted[table] - start.count)
    const { advance, done } = showProgress(`Adding ${missing} ${table}`, missing)
    const goal = { start, wanted: wanted[table], advance }
    const added =
      table === 'users' ? await addUsers(database, createPasswords(config), goal) : await addItems(database, goal)
    done()
    say(`${table}: ${added} added`)
  }
}

/** @throws UsageError that names the option */
function amount(option: string, given = '0'): number {
  if (!/^\d{1,9}$/.test(given)) throw new UsageError(`${option} must be a whole number below a billion`)
  return Number(given)
}

const size = (bytes: number): string => {
  const steps = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), steps.length - 1)
  return `${(bytes / 1024 ** step).toFixed(step === 0 ? 0 : 1)} ${steps[step]}`
}
