import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { isAbsolute, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, sql, SqliteDialect, SqliteDriver } from 'kysely'
import type { DatabaseConnection, QueryResult, SqliteDatabase } from 'kysely'
import { projectRoot } from '../core/config.ts'
import type { Engine } from './engine.ts'
import { explain, isBusy } from './errors.ts'

/** Milliseconds that SQLite itself waits for another process. It blocks the event loop, so it is short. */
const blockingWait = 50
const cachedStatements = 500

/** Upper case first joins letters that have two lower-case forms, such as the Greek sigma's and the German sharp s. */
const fold = (value: unknown) =>
  typeof value === 'string' ? value.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ') : null

/**
 * SQLite, through Node's own `node:sqlite`.
 * @param url `sqlite:///file.db` (relative to the project), `sqlite:////absolute/file.db` or `sqlite:///:memory:`
 * @param timeoutSeconds how long a statement waits for another process to release the file
 */
export function sqliteEngine(url: string, timeoutSeconds: number): Engine {
  const file = url.slice('sqlite:///'.length)
  const path = file === ':memory:' || isAbsolute(file) ? file : join(projectRoot, file)
  return {
    kind: 'sqlite',
    dialect: new Dialect({ database: () => Promise.resolve(openFile(path)) }, timeoutSeconds),
    clock: (seconds = 0) => sql`strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ${seconds} || ' seconds')`,
    fold: (text) => sql`fold(${text})`,
    // BEGIN IMMEDIATE has taken the lock already.
    migrationLock: 'select 1',
  }
}

function openFile(path: string): SqliteDatabase {
  const database = openOrExplain(path)
  // FULL: a commit that was answered survives a power cut; WAL alone would lose the last ones.
  database.exec(`
    pragma busy_timeout = ${blockingWait};
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma foreign_keys = on;
    pragma trusted_schema = off;
  `)
  database.function('fold', { deterministic: true }, fold)
  const statements = new Map<string, ReturnType<typeof prepare>>()
  return {
    prepare(text) {
      const known = statements.get(text)
      if (known) return known
      const statement = prepare(database, text)
      if (statements.size >= cachedStatements) statements.clear()
      statements.set(text, statement)
      return statement
    },
    close: () => database.close(),
  }
}

function openOrExplain(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path)
  } catch (error) {
    throw explain(error)
  }
}

/** A statement as Kysely's dialect wants it; booleans become numbers on the way in and booleans again on the way out. */
function prepare(database: DatabaseSync, text: string) {
  const statement: StatementSync = database.prepare(text)
  const columns = statement.columns()
  const flags = columns.filter(({ type }) => type === 'boolean').map(({ name }) => name)
  const bind = (parameters: readonly unknown[]) =>
    parameters.map((value) => (typeof value === 'boolean' ? Number(value) : value) as SQLInputValue)
  const read = (row: Record<string, unknown>) => {
    for (const name of flags) if (row[name] !== null) row[name] = Boolean(row[name])
    return row
  }
  return {
    reader: columns.length > 0,
    all: (parameters: readonly unknown[]) => statement.all(...bind(parameters)).map(read),
    run: (parameters: readonly unknown[]) => statement.run(...bind(parameters)),
    *iterate(parameters: readonly unknown[]) {
      for (const row of statement.iterate(...bind(parameters))) yield read(row)
    },
  }
}

class Dialect extends SqliteDialect {
  readonly #config: ConstructorParameters<typeof SqliteDialect>[0]
  readonly #timeoutSeconds: number
  constructor(config: ConstructorParameters<typeof SqliteDialect>[0], timeoutSeconds: number) {
    super(config)
    this.#config = config
    this.#timeoutSeconds = timeoutSeconds
  }
  override createDriver() {
    return new Driver(this.#config, this.#timeoutSeconds)
  }
}

class Driver extends SqliteDriver {
  readonly #timeoutSeconds: number
  #connection: DatabaseConnection | undefined
  constructor(config: ConstructorParameters<typeof SqliteDriver>[0], timeoutSeconds: number) {
    super(config)
    this.#timeoutSeconds = timeoutSeconds
  }
  override async acquireConnection() {
    return (this.#connection ??= patient(await super.acquireConnection(), this.#timeoutSeconds))
  }
  /** IMMEDIATE takes the write lock at once; a deferred transaction could fail later, when it first writes. */
  override async beginTransaction(connection: DatabaseConnection) {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
}

/** Waits for other processes without blocking the event loop, and explains what the driver throws. */
function patient(connection: DatabaseConnection, timeoutSeconds: number): DatabaseConnection {
  return {
    async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      const deadline = Date.now() + timeoutSeconds * 1000
      for (;;) {
        try {
          return await connection.executeQuery<R>(query)
        } catch (error) {
          if (!isBusy(error) || Date.now() > deadline) throw explain(error)
          await sleep(5 + Math.random() * 20)
        }
      }
    },
    streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize),
  }
}
