import { execFileSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { onTestFinished } from 'vitest'
import { openDatabase } from '../../../src/db/database.ts'
import { upgrade } from '../../../src/db/migrator.ts'
import { createCluster, spawnPostgresql, untilReady, urlOf, type Cluster } from '../../support/postgresql.ts'
import { settings } from '../../support/settings.ts'

const signals = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const

/** A PostgreSQL of a fault's own, as in production: it keeps its port and its data, and writes through to the disk. */
export class Postgresql {
  /** Of a migrated database. */
  readonly url: string
  readonly port: number
  readonly #cluster: Cluster
  #server: ChildProcess | undefined

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
    this.port = cluster.port
    this.url = urlOf(cluster).replace(/postgres$/, 'app')
  }

  /**
   * Starts it with an empty migrated database. It is removed when the test is over.
   * @param on the folder of another disk, for its data
   */
  static async start(on?: string): Promise<Postgresql> {
    const postgresql = new Postgresql(await createCluster(undefined, on))
    onTestFinished(() => postgresql.#remove())
    await postgresql.start()
    const administration = new pg.Client(urlOf(postgresql.#cluster))
    await administration.connect()
    await administration.query('create database app')
    await administration.end()
    const database = openDatabase(settings({ DATABASE_URL: postgresql.url }))
    await upgrade(database)
    await database.close()
    return postgresql
  }

  /** Starts it again on its data, and waits until it accepts connections. */
  async start(): Promise<void> {
    this.#server = spawnPostgresql(this.#cluster, 'fsync=on')
    await untilReady(urlOf(this.#cluster))
  }

  /** Whether it has ended, by itself or because it was told. */
  get hasEnded(): boolean {
    return this.#server?.exitCode !== null || this.#server.signalCode !== null
  }

  /** Stops it: `fast` undoes what runs and closes the connections, `immediate` drops everything, as a crash does. */
  async stop(mode: keyof typeof signals): Promise<void> {
    await this.#end(() => this.#server?.kill(signals[mode]))
  }

  /** Kills each of its processes, with no chance to do anything. */
  async kill(): Promise<void> {
    await this.#end(() => this.#signal('SIGKILL'))
  }

  /** Its processes stand still, and nobody is told: connections stay open, and nothing comes. */
  freeze(): void {
    this.#signal('SIGSTOP')
  }

  thaw(): void {
    this.#signal('SIGCONT')
  }

  /** Asks it something, on a connection of its own. */
  async query<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = new pg.Client(this.url)
    await client.connect()
    try {
      return (await client.query<Row>(text, values)).rows
    } finally {
      await client.end()
    }
  }

  async #end(by: () => void): Promise<void> {
    const server = this.#server
    if (!server || this.hasEnded) return
    const exited = once(server, 'exit')
    const children = childrenOf(server.pid!)
    by()
    await exited
    // The next one does not start while a process of this one still holds its shared memory.
    while (children.some(isRunning)) await sleep(10)
  }

  /** The parent first and last: when it stands still it makes no new process, and when it goes on it finds its own. */
  #signal(signal: NodeJS.Signals): void {
    const parent = this.#server!.pid!
    process.kill(parent, 'SIGSTOP')
    for (const pid of childrenOf(parent)) process.kill(pid, signal)
    process.kill(parent, signal)
  }

  async #remove(): Promise<void> {
    await this.kill()
    rmSync(this.#cluster.folder, { recursive: true, force: true })
  }
}

const list = (...options: string[]) => execFileSync('ps', options, { encoding: 'utf8' }).trim().split('\n')

function childrenOf(parent: number): number[] {
  const processes = list('-A', '-o', 'pid=,ppid=').map((line) => line.trim().split(/\s+/).map(Number))
  return processes.filter(([, ppid]) => ppid === parent).map(([pid]) => pid!)
}

/** A process that has ended stays in the list, as a zombie, until its parent has looked. */
function isRunning(pid: number): boolean {
  try {
    return !list('-o', 'stat=', '-p', String(pid))[0]!.startsWith('Z')
  } catch {
    return false
  }
}
