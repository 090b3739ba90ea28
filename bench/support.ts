// What the measurements share: a place of their own with databases and the real server, requests, and figures.
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { request, type Agent } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { projectRoot } from '../src/core/config.ts'
import { newSecret, secrets } from '../src/core/environment.ts'
import { openDatabase } from '../src/db/database.ts'
import type { DatabaseKind } from '../tests/support/databases.ts'
import { startPostgresql, type PostgresqlServer } from '../tests/support/postgresql.ts'
import { settings } from '../tests/support/settings.ts'

export const databaseKinds: DatabaseKind[] = ['sqlite', 'postgresql']

const copied = ['src', 'migrations', 'tools', 'package.json', 'tsconfig.json']

export interface Server {
  address: string
  pid: number
  databaseUrl: string
  /** Ends it as a service manager does. */
  stop(): Promise<void>
}

export interface Workbench {
  /** Starts the real server as in production, with every default but for `overrides`, on a fresh database. */
  startServer(kind: DatabaseKind, overrides?: Record<string, string>): Promise<Server>
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

  const servers: Server[] = []
  let postgresql: Promise<PostgresqlServer> | undefined
  let ending: Promise<void> | undefined
  const end = async () => {
    await Promise.all(servers.map((server) => server.stop()))
    await (await postgresql)?.stop()
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void (ending ??= end()).finally(() => process.exit(130)))

  try {
    await work({
      async startServer(kind, overrides = {}) {
        const url =
          kind === 'sqlite' ? sqliteUrl(folder) : await createDatabase(await (postgresql ??= startPostgresql()))
        await migrate(url)
        const server = await start(folder, { ...overrides, DATABASE_URL: url })
        servers.push(server)
        return server
      },
    })
  } finally {
    await (ending ??= end())
  }
}

const newName = () => `bench_${randomUUID().replaceAll('-', '')}`

const sqliteUrl = (folder: string) => `sqlite:///${join(folder, `${newName()}.db`)}`

async function createDatabase({ url }: PostgresqlServer): Promise<string> {
  const name = newName()
  const administration = new pg.Client(url)
  await administration.connect()
  await administration.query(`create database ${name}`)
  await administration.end()
  return url.replace(/postgres$/, name)
}

async function migrate(url: string): Promise<void> {
  const database = openDatabase(settings({ DATABASE_URL: url }))
  // Loaded only here: it brings the ORM along, which the clients of a flood need not wait for.
  const { upgrade } = await import('../src/db/migrator.ts')
  await upgrade(database)
  await database.close()
}

async function start(folder: string, overrides: Record<string, string>): Promise<Server> {
  // Into a file, as under a service manager: reading a pipe would cost the process that measures.
  const log = join(folder, `${newName()}.log`)
  const output = openSync(log, 'w')
  const child = spawn(process.execPath, ['--import', './tools/require-node.js', 'src/main.ts'], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      NODE_ENV: 'production',
      PORT: '0',
      ...Object.fromEntries(secrets.map((name) => [name, newSecret(name)])),
      ...overrides,
    },
    stdio: ['ignore', output, output],
  })
  const ended = once(child, 'close')
  return {
    address: await addressIn(log, child),
    pid: child.pid!,
    databaseUrl: overrides['DATABASE_URL']!,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function addressIn(log: string, child: ChildProcess): Promise<string> {
  for (;;) {
    const text = readFileSync(log, 'utf8')
    const [address] = /http:\/\/127\.0\.0\.1:\d+/.exec(text) ?? []
    if (address !== undefined) return address
    if (child.exitCode !== null) throw new Error(`The server did not start:\n${text}`)
    await sleep(20)
  }
}

export interface Answer {
  status: number
  /** In the order of their coming. */
  headers: [name: string, value: string][]
  body: string
  /** From the request to the end of the answer. */
  milliseconds: number
}

interface Outgoing {
  method?: 'GET' | 'POST'
  body?: unknown
  token?: string
  /** Without one, a connection of its own. */
  agent?: Agent
}

/** Sends a request and reads the whole answer. @throws when the connection fails */
export function send(url: string, { method = 'POST', body, token, agent }: Outgoing = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers = {
    ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  }
  const begin = performance.now()
  const outgoing = request(url, { method, headers, agent: agent ?? false }, (incoming) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('error', reject)
    incoming.on('end', () => {
      const milliseconds = performance.now() - begin
      const { statusCode: status = 0, rawHeaders } = incoming
      const pairs = rawHeaders.flatMap((name, index): [string, string][] =>
        index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1]!]] : [],
      )
      resolve({ status, headers: pairs, body: Buffer.concat(chunks).toString(), milliseconds })
    })
  })
  outgoing.on('error', reject)
  outgoing.end(text)
  return promise
}

/** All of one length, so that requests are as well. */
export const newEmail = () => `${randomUUID()}@example.com`

/** Registers an account. Gives an access token. */
export async function register({ address }: Server, email: string, password: string): Promise<string> {
  const body = { email, password, first_name: 'Ada', last_name: 'Lovelace' }
  const answer = await send(`${address}/api/v1/auth/register`, { body })
  if (answer.status !== 201) throw new Error(`register answered ${answer.status}: ${answer.body}`)
  return (JSON.parse(answer.body) as { data: { access_token: string } }).data.access_token
}

/** The smallest value that a `share` (0 to 1) of all values do not exceed; NaN of none. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(Math.ceil(share * sorted.length) - 1, 0)] ?? Number.NaN
}

/** Rows as lines with columns of even width: the first to the left, the others to the right. */
export function table(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ')
  return rows.map(line).join('\n')
}
