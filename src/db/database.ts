import { Kysely, sql, type Expression, type SqlBool } from 'kysely'
import type { Config } from '../core/config.ts'
import { createEncryption } from '../core/security/encryption.ts'
import type { Tables } from '../models/index.ts'
import { translateEncryptedColumns } from './encrypted-columns.ts'
import type { Engine, EngineConfig } from './engine.ts'
import { postgresqlEngine } from './postgresql.ts'
import { sqliteEngine } from './sqlite.ts'
import { createPrepare } from './statements.ts'
import { createTransactions, type Frame } from './transactions.ts'

export interface Database {
  readonly engine: Engine
  /** Where statements go: the open transaction if there is one, otherwise the pool. */
  query(): Kysely<Tables>
  /** Makes a statement that is compiled once, and goes where `query()` does each time it is used. */
  prepare: ReturnType<typeof createPrepare>
  /**
   * Runs `work` in one transaction: all of it happens or nothing. A call inside another joins it.
   * After a serialization failure or a deadlock `work` is run again, a few times; let it do nothing
   * but database work.
   * @throws UnavailableError when it failed so each time
   */
  transaction<T>(work: () => Promise<T>): Promise<T>
  /** For a change of one statement, which needs no transaction of its own: it has one where `frame` adds to it. */
  single<T>(work: () => Promise<T>): Promise<T>
  /**
   * Runs `work`, and puts a frame around the transaction that it opens: that commits when `work` has ended, with what
   * the frame adds, or not at all. Others that `work` opens are parts of it, one after another, and one that fails is
   * undone alone. Where `work` opens none, the frame has one of its own. Work that is done before its
   * transaction, such as hashing, holds no connection. After a serialization failure or a deadlock all of it is run
   * again.
   */
  frame<T>(work: () => Promise<T>, frame: Frame<T>): Promise<T>
  /** Calls `tell` once the open transaction has committed, and never if it has not; at once if none is open. */
  afterCommit(tell: () => void): void
  /** The database's own time, moved by `seconds`. */
  clock(seconds?: number | Expression<number>): Expression<string>
  /** Whether a text is like a pattern, which `likePattern` has made. */
  contains(text: Expression<string | null>, pattern: Expression<string>): Expression<SqlBool>
  fold: Engine['fold']
  search: Engine['search']
  /** Resolves if the database answers. */
  ping(): Promise<void>
  close(): Promise<void>
}

type DatabaseConfig = EngineConfig & Pick<Config, 'ENCRYPTION_KEY'>

/** Chooses the database by the URL. Nothing is connected before the first statement. */
export function openDatabase(config: DatabaseConfig): Database {
  const engine = openEngine(config)
  const { plugin, decryptRows } = translateEncryptedColumns(createEncryption(config.ENCRYPTION_KEY))
  const pool = new Kysely<Tables>({ dialect: engine.dialect, plugins: [plugin] })
  const { current, ...transactions } = createTransactions(pool)
  const query = () => current() ?? pool

  return {
    engine,
    query,
    prepare: createPrepare(async (compiled) => {
      const transaction = current()
      if (transaction) return transaction.executeQuery(compiled)
      // Past Kysely's pool, which would let the plugin do this.
      const result = await engine.run(compiled)
      decryptRows(result.rows as Record<string, unknown>[], compiled.queryId)
      return result
    }),
    ...transactions,
    clock: engine.clock,
    search: engine.search,
    contains: (text, pattern) => sql`${text} like ${pattern} escape '\\'`,
    fold: engine.fold,
    async ping() {
      await sql`select 1`.execute(pool)
    },
    async close() {
      await pool.destroy()
      await engine.close()
    },
  }
}

/** The database of a URL, below everything that is the same on both. */
const openEngine = (config: EngineConfig): Engine =>
  config.DATABASE_URL.startsWith('sqlite:') ? sqliteEngine(config) : postgresqlEngine(config)
