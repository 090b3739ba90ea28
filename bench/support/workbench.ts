// A place of its own for measurements: databases, and servers as they run in production.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { projectRoot } from '../../src/core/config.ts'
import { newSecret, secrets } from '../../src/core/environment.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import type { DatabaseKind } from '../../tests/support/databases.ts'
import { freePort } from '../../tests/support/ports.ts'
import { startPostgresql, type PostgresqlServer } from '../../tests/support/postgresql.ts'
import { settings } from '../../tests/support/settings.ts'
import { otherCores, pin, pinned, serverCore } from './processes.ts'
import { send } from './requests.ts'

export const databaseKinds: DatabaseKind[] = ['sqlite', 'postgresql']

const copied = ['src', 'migrations', 'tools', 'package.json', 'tsconfig.json']

/** A server that can be started: it serves at 127.0.0.1, on the `PORT` it is given. */
export interface Program {
  command: string[]
  /** Where to run it; the copy of the project without one. */
  folder?: string
}

/** The project's own server, as `npm start` starts it. */
export const template: Program = {
  command: [process.execPath, '--max-semi-space-size=2', '--import', './tools/require-node.js', 'src/main.ts'],
}

export interface Server {
  address: string
  pid: number
  databaseUrl: string
  /** Ends it as a service manager does. */
  stop(): Promise<void>
}

export interface Workbench {
  /** Makes a database with every migration applied. Gives its URL. */
  createDatabase(kind: DatabaseKind): Promise<string>
  /** Starts a server on one core, where there are several, on a database that is there. */
  start(program: Program, databaseUrl: string, environment?: Record<string, string>): Promise<Server>
  /** Starts the real server as in production, with every default but for `overrides`, on a fresh database and any core. */
  startServer(kind: DatabaseKind, overrides?: Record<string, string>, program?: Program): Promise<Server>
  /** Runs the project's `app` command, as an operator would, and waits for its end. */
  app(databaseUrl: string, ...parameters: string[]): void
  /** The process of PostgreSQL; undefined while no database needed it. */
  postgresqlPid(): Promise<number | undefined>
}

/**
 * Gives `work` a folder with a copy of the project, where no `.env` of the developer's changes a setting, and
 * a PostgreSQL. However it ends, by Ctrl+C too, nothing of it is left.
 */
export async function onWorkbench(work: (bench: Workbench) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  // PostgreSQL may run as `nobody`, who has to pass through; it puts its own folder into this one.
  chmodSync(folder, 0o711)
  process.env['TMPDIR'] = folder
  for (const name of copied) cpSync(join(projectRoot, name), join(folder, name), { recursive: true })
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'), 'junction')

  // The same for all servers, so that each takes the tokens that another signed.
  const keys = Object.fromEntries(secrets.map((name) => [name, newSecret(name)]))
  const servers: Server[] = []
  let postgresql: Promise<PostgresqlServer> | undefined
  let ending: Promise<void> | undefined
  const end = async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await (await postgresql)?.stop()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void (ending ??= end()).finally(() => process.exit(130)))

  const run = async (program: Program, databaseUrl: string, environment: Record<string, string>, core?: string) => {
    const server = await startProgram(folder, program, { ...keys, ...environment, DATABASE_URL: databaseUrl }, core)
    servers.push(server)
    return server
  }
  const createDatabase = async (kind: DatabaseKind) => {
    const url =
      kind === 'sqlite' ? sqliteUrl(folder) : await createInPostgresql(await (postgresql ??= startPinnedPostgresql()))
    await migrate(url)
    return url
  }
  try {
    await work({
      createDatabase,
      start: (program, databaseUrl, environment = {}) => run(program, databaseUrl, environment, serverCore),
      startServer: async (kind, overrides = {}, program = template) =>
        run(program, await createDatabase(kind), overrides),
      app(databaseUrl, ...parameters) {
        const environment = { PATH: process.env['PATH'], ...keys, NODE_ENV: 'test', DATABASE_URL: databaseUrl }
        const stdio = ['ignore', 'ignore', 'inherit'] as const
        execFileSync(process.execPath, ['src/cli.ts', ...parameters], {
          cwd: folder,
          env: environment,
          stdio: [...stdio],
        })
      },
      postgresqlPid: async () => (await postgresql)?.pid,
    })
  } finally {
    await (ending ??= end())
  }
}

const newName = () => `bench_${randomUUID().replaceAll('-', '')}`

const sqliteUrl = (folder: string) => `sqlite:///${join(folder, `${newName()}.db`)}`

/** PostgreSQL beside the server under test, not on its core. */
async function startPinnedPostgresql(): Promise<PostgresqlServer> {
  const postgresql = await startPostgresql()
  pin(postgresql.pid, otherCores)
  return postgresql
}

async function createInPostgresql({ url }: PostgresqlServer): Promise<string> {
  const name = newName()
  const administration = new pg.Client(url)
  await administration.connect()
  await administration.query(`create database ${name}`)
  await administration.end()
  return url.replace(/postgres$/, name)
}

/** The project's own way to a database, for what is prepared in it before and looked up after. */
export async function withDatabase<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase(settings({ DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: '600' }))
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

async function migrate(url: string): Promise<void> {
  // Loaded only here: it brings the ORM along, which the clients of a flood need not wait for.
  const { upgrade } = await import('../../src/db/migrator.ts')
  await withDatabase(url, upgrade)
}

async function startProgram(
  workFolder: string,
  { command, folder = workFolder }: Program,
  environment: Record<string, string>,
  core?: string,
): Promise<Server> {
  // Into a file, as under a service manager: reading a pipe would cost the process that measures.
  const log = join(workFolder, `${newName()}.log`)
  const output = openSync(log, 'w')
  const port = await freePort()
  const [file, ...parameters] = pinned(command, core)
  const child = spawn(file!, parameters, {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: workFolder, NODE_ENV: 'production', PORT: String(port), ...environment },
    stdio: ['ignore', output, output],
  })
  const ended = once(child, 'close')
  const address = `http://127.0.0.1:${port}`
  await untilAnswered(address, child, log)
  return {
    address,
    pid: child.pid!,
    databaseUrl: environment['DATABASE_URL']!,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function untilAnswered(address: string, child: ChildProcess, log: string): Promise<void> {
  for (let attempt = 0; child.exitCode === null && attempt < 15_000; attempt++) {
    const answered = await send(`${address}/health`, { method: 'GET' }).then(
      () => true,
      () => false,
    )
    if (answered) return
    await sleep(2)
  }
  child.kill('SIGKILL')
  throw new Error(`The server did not start:\n${readFileSync(log, 'utf8')}`)
}
