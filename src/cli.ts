#!/usr/bin/env node
import { randomUUID } from 'node:crypto'
import { Argument, Command } from 'commander'
import type { Client } from './core/actor.ts'
import type { Config } from './core/config.ts'
import { generatedSecrets, newSecret } from './core/environment.ts'
import { UnavailableError } from './core/errors.ts'
import { createLogger } from './core/logging.ts'
import { createEncryption } from './core/security/encryption.ts'
import { createPasswords } from './core/security/passwords.ts'
import { configOrExit, exitWith, reasonOf } from './core/start.ts'
import { version } from './core/version.ts'
import { openDatabase, type Database } from './db/database.ts'
import { migrationStatus } from './db/migrations.ts'
import { reencrypt } from './db/reencrypt.ts'
import { seed } from './db/seed.ts'
import { roles, type Role } from './models/enums.ts'
import { createServices, type Services } from './wiring.ts'

/** Loaded by the commands that need it: it brings the ORM along. */
const migrator = () => import('./db/migrator.ts')

/** Building an index takes longer than any request may. */
const migrationTimeoutSeconds = 600

/** Opens the database as the role that may change its schema, and closes it whatever happens. */
async function withDatabase(work: (database: Database, config: Config) => Promise<void>): Promise<void> {
  const config = configOrExit()
  const database = openDatabase({
    ...config,
    DATABASE_URL: config.MIGRATION_DATABASE_URL ?? config.DATABASE_URL,
    DATABASE_TIMEOUT_SECONDS: migrationTimeoutSeconds,
  })
  try {
    await work(database, config)
  } finally {
    await database.close()
  }
}

async function requireMigrated(database: Database): Promise<void> {
  const { pending } = await migrationStatus(database)
  if (pending.length > 0) throw new Error('The database is not migrated: run "npm run db:upgrade" first')
}

/** Hands out the same services as a server has, so that rules and security events are the same. */
const withServices = (work: (services: Services) => Promise<void>) =>
  withDatabase(async (database, config) => {
    await requireMigrated(database)
    await work(createServices(config, database, await createLogger(config, process.stderr)))
  })

/** Who runs a command, for the security events. */
const operator = (command: string): Client => ({
  request_id: randomUUID(),
  ip: '127.0.0.1',
  user_agent: `app ${command}`,
})

const tell = (names: string[], done: string, nothing: string) =>
  console.log(names.map((name) => `${done} ${name}`).join('\n') || nothing)

const app = new Command('app').description('Operates this service.').version(version)
const db = app.command('db').description('the database: migrations and seeds')

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
    withDatabase(async (database) => {
      const { upgrade } = await migrator()
      tell(await upgrade(database), 'applied', 'The database is up to date.')
    }),
  )

db.command('downgrade')
  .description('take back the last migration')
  .option('--all', 'take back every migration: this empties the database')
  .option('--yes', 'do so in production as well')
  .action(({ all, yes }: { all?: boolean; yes?: boolean }) =>
    withDatabase(async (database, config) => {
      if (!yes && config.NODE_ENV === 'production')
        throw new Error('This would drop tables or columns of production with their data: add --yes if you mean it')
      const { downgrade } = await migrator()
      tell(await downgrade(database, all), 'took back', 'No migration is applied.')
    }),
  )

db.command('status')
  .description('show which migrations are applied; exit code 1 when some are pending')
  .action(() =>
    withDatabase(async (database) => {
      const { applied, pending } = await migrationStatus(database)
      tell(applied, 'applied', 'No migration is applied.')
      tell(pending, 'pending', 'No migration is pending.')
      if (pending.length > 0) process.exitCode = 1
    }),
  )

db.command('check')
  .description('fail when a model was changed and its migration forgotten')
  .action(async () => {
    const { findDrift } = await migrator()
    const drifted = await findDrift()
    if (drifted.length > 0)
      exitWith(`Models and migrations differ (${drifted.join(', ')}): run npm run db:migrate -- "what changed"`)
    console.log('Models and migrations agree.')
  })

db.command('seed')
  .description('fill an empty database with the test users and sample items')
  .action(() =>
    withDatabase(async (database, config) => {
      if (config.NODE_ENV === 'production')
        exitWith('Seeds are for development: their passwords are known to everybody.')
      await requireMigrated(database)
      console.log(
        (await seed(database, createPasswords(config))) ? 'Seeded.' : 'The database is not empty: nothing was changed.',
      )
    }),
  )

const keys = app.command('keys').description('the secrets')

keys
  .command('generate')
  .description('print new random secrets; docs/security.md says how to change over to them')
  .action(() => {
    for (const name of generatedSecrets) console.log(`${name}=${newSecret(name)}`)
  })

keys
  .command('rotate')
  .description(
    'encrypt what is still under an earlier ENCRYPTION_KEY again, under the first; exit code 1 when a value is under none',
  )
  .action(() =>
    withDatabase(async (database, { ENCRYPTION_KEY }) => {
      await requireMigrated(database)
      const columns = await reencrypt(database, createEncryption(ENCRYPTION_KEY))
      for (const { column, renewed, current, unreadable } of columns) {
        console.log(`${column}: ${renewed} encrypted again, ${current} already current`)
        if (unreadable === 0) continue
        console.error(`${column}: ${unreadable} under none of the keys, left as they are`)
        process.exitCode = 1
      }
    }),
  )

app
  .command('users')
  .description('the accounts')
  .command('set-role')
  .description('give an account another role, from its next request on')
  .argument('<email>')
  .addArgument(new Argument('<role>').choices(roles))
  .action((email: string, role: Role) =>
    withServices(async ({ users }) => {
      await users.setRole(email, role, operator('users set-role'))
      console.log(`${email} has the role ${role}.`)
    }),
  )

app
  .command('sessions')
  .description('the sessions')
  .command('purge')
  .description('delete sessions that ended a month ago, forgotten attempts, and audit events past their time')
  .action(() =>
    withServices(async ({ purge }) => {
      for (const [table, count] of Object.entries(await purge.run())) console.log(`${table}: ${count} deleted`)
    }),
  )

await app.parseAsync().catch((error: Error) => {
  exitWith(
    error instanceof UnavailableError ? `${error.message} (${reasonOf(error)}): look at DATABASE_URL` : error.message,
  )
})
