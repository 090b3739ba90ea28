import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, SqliteAdapter, SqliteDialect, SqliteDriver } from 'kysely'
import type { DatabaseConnection, QueryResult, SqliteDatabase } from 'kysely'
import { explain, isBusy } from './errors.ts'
import type { Line } from './line.ts'

/** Kysely's SQLite, with a driver that waits for other processes beside the event loop. */
export class Dialect extends SqliteDialect {
  readonly #driver: Driver
  constructor(driver: Driver) {
    super({ database: driver.open })
    this.#driver = driver
  }
  override createDriver() {
    return this.#driver
  }
  override createAdapter() {
    return new Adapter()
  }
}

/** Statements after which a line of them lets the event loop go on. */
const handedOnAtOnce = 100

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
export class Driver extends SqliteDriver {
  /** Gives the open file; opens it for who asks first. */
  readonly open: () => Promise<SqliteDatabase>
  readonly #file: () => SqliteDatabase
  readonly #line: Line
  readonly #limit: number
  readonly #waiting: (() => void)[] = []
  #taken = false
  #handedOn = 0
  #inTransaction = false
  constructor(file: () => SqliteDatabase, line: Line, timeoutSeconds: number) {
    const open = async () => file()
    super({ database: open })
    this.open = open
    this.#file = file
    this.#line = line
    this.#limit = timeoutSeconds * 1000
  }

  /** Runs a statement by itself. While nobody has the connection it need not be taken: it is free again at once. */
  async run<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>> {
    if (!this.#taken) {
      try {
        return this.#execute(query)
      } catch (error) {
        if (!isBusy(error)) throw explain(error)
      }
    }
    const connection = await this.acquireConnection()
    try {
      return await connection.executeQuery<Row>(query)
    } finally {
      this.#giveBack()
    }
  }

  #execute<Row>({ sql, parameters }: CompiledQuery<Row>): QueryResult<Row> {
    const statement = this.#file().prepare(sql)
    if (statement.reader) return { rows: statement.all(parameters) as Row[] }
    return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) }
  }

  async #take() {
    if (this.#taken) await new Promise<void>((resolve) => void this.#waiting.push(resolve))
    this.#taken = true
  }

  #giveBack() {
    const next = this.#waiting.shift()
    this.#taken = next !== undefined
    // At once: were it the next turn of the event loop, all requests of this one would come to wait, one statement
    // would be done in each turn, and under load the line would never end again. But a long line lets others in.
    if (!next) this.#handedOn = 0
    else if (++this.#handedOn % handedOnAtOnce === 0) setImmediate(next)
    else next()
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const deadline = performance.now() + this.#limit
    // Only here: who gave the turn back below must get it again, to be able to release it.
    await this.#line.wait(() => this.#take())
    const execute = async <R>(query: CompiledQuery): Promise<QueryResult<R>> => {
      for (;;) {
        try {
          return this.#execute<R>(query)
        } catch (error) {
          if (this.#inTransaction || !isBusy(error) || performance.now() > deadline) throw explain(error)
          this.#giveBack()
          await sleep(5 + Math.random() * 20)
          await this.#take()
        }
      }
    }
    return { executeQuery: execute, streamQuery: noStream }
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

/** It would hold the only connection for as long. */
function noStream(): never {
  throw new Error('Read a page at a time instead')
}
