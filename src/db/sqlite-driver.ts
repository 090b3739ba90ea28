import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, SqliteAdapter, SqliteDialect, SqliteDriver } from 'kysely'
import type { DatabaseConnection, QueryResult, SqliteDialectConfig as Config } from 'kysely'
import { explain, isBusy } from './errors.ts'

/** Kysely's SQLite, with a driver that waits for other processes beside the event loop. */
export class Dialect extends SqliteDialect {
  readonly #config: Config
  readonly #limit: number
  constructor(config: Config, timeoutSeconds: number) {
    super(config)
    this.#config = config
    this.#limit = timeoutSeconds * 1000
  }
  override createDriver() {
    return new Driver(this.#config, this.#limit)
  }
  override createAdapter() {
    return new Adapter()
  }
}

/** The driver takes turns itself: Kysely's own way would hold the turn while waiting for another process. */
class Adapter extends SqliteAdapter {
  override get supportsMultipleConnections() {
    return true
  }
}

/**
 * One connection, used in turns. Who finds the file locked by another process gives the turn back and
 * tries again, so that readers pass (they need no lock) and the event loop runs, until the limit.
 */
class Driver extends SqliteDriver {
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #taken = false
  #inTransaction = false
  constructor(config: Config, limit: number) {
    super(config)
    this.#limit = limit
  }

  async #take() {
    if (this.#taken) await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    this.#taken = true
  }

  #giveBack() {
    this.#taken = false
    // Through the event loop, so that a long queue lets other work in between.
    const next = this.#waiting.shift()
    if (next) {
      this.#taken = true
      setImmediate(next)
    }
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const deadline = Date.now() + this.#limit
    await this.#take()
    const connection = await super.acquireConnection()
    const execute = async <R>(query: CompiledQuery): Promise<QueryResult<R>> => {
      for (;;) {
        try {
          return await connection.executeQuery<R>(query)
        } catch (error) {
          if (this.#inTransaction || !isBusy(error) || Date.now() > deadline) throw explain(error)
          this.#giveBack()
          await sleep(5 + Math.random() * 20)
          await this.#take()
        }
      }
    }
    return { executeQuery: execute, streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize) }
  }

  override async releaseConnection() {
    this.#giveBack()
  }

  /** IMMEDIATE takes the write lock at once; a deferred transaction could fail later, when it first writes. */
  override async beginTransaction(connection: DatabaseConnection) {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
    this.#inTransaction = true
  }

  override async commitTransaction(connection: DatabaseConnection) {
    await super.commitTransaction(connection)
    this.#inTransaction = false
  }

  override async rollbackTransaction(connection: DatabaseConnection) {
    this.#inTransaction = false
    // After a full disk, say, SQLite has rolled back by itself, and would complain that there is nothing
    // left to: that complaint must not hide the cause.
    await super.rollbackTransaction(connection).catch(() => {})
  }
}
