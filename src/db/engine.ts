import type { CompiledQuery, Dialect, Expression, QueryResult, RawBuilder } from 'kysely'
import type { Config } from '../core/config.ts'

export type EngineConfig = Pick<
  Config,
  | 'DATABASE_URL'
  | 'DATABASE_POOL_SIZE'
  | 'DATABASE_QUEUE_SIZE'
  | 'DATABASE_TIMEOUT_SECONDS'
  | 'DATABASE_PREPARED_STATEMENTS'
>

/** A trigram index, as a model declares it: by its name, over text columns of a table. */
interface TrigramIndex {
  index: string
  table: string
  columns: readonly string[]
}

/** How rows are found whose texts contain a text, letter by letter. Only three letters or digits in a row make it quick. */
interface TrigramSearch {
  /** What `find` takes for a text. */
  phrase(part: string): string
  /** All rows of the table with the text in one of the columns. */
  find(index: TrigramIndex, phrase: Expression<string>): RawBuilder<unknown>
  /**
   * The first rows that a query finds, in no order. It is planned as if all were wanted: for the sake of a few the
   * databases would rather read through the table, which is wrong where there are none.
   */
  some(found: Expression<unknown>, limit: number): RawBuilder<Record<string, unknown>>
}

/** What differs between the databases. Everything else is one code base; nothing outside `db/` asks which it is. */
export interface Engine {
  readonly kind: 'sqlite' | 'postgresql'
  readonly dialect: Dialect
  /** Runs a statement outside of transactions, without the dozen promises of Kysely's way to a connection. */
  run<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>>
  close(): Promise<void>
  /** Milliseconds that whoever is next for a connection has waited; 0 when nobody waits. */
  delay(): number
  /** Whether there is a database to open; opening a SQLite file that is not there would make it. */
  exists(): boolean
  /** The database's own time, moved by `seconds`; one clock for all servers that share it. */
  clock(seconds?: number | Expression<number>): RawBuilder<string>
  /** The text without letter case, beyond ASCII too. */
  fold(text: Expression<string | null>): RawBuilder<string>
  readonly search: TrigramSearch
  /** Whether the transaction that is open is the only one with this key; never waits to find out. */
  tryLock(key: Expression<string>): RawBuilder<boolean>
  /** Taken in a transaction, keeps every other migrator out until it ends. */
  readonly migrationLock: string
  /** Statements that select, as `statement`, what drops each thing in the database, in the order to run them in. */
  readonly dropStatements: string
  /** Selects, as `name`, the tables in the service's own schema. */
  readonly tables: RawBuilder<{ name: string }>
  /** The bytes that the database takes, or one of its tables with its indexes. */
  size(table?: string): RawBuilder<number>
  /** What the database is called, and its version. */
  readonly version: RawBuilder<string>
  /** Selects columns of a table from rows that are written as one JSON array of objects. */
  unpack(table: string, columns: readonly string[], json: string): RawBuilder<unknown>
  /** A statement for when many rows came: the plans and the counts of a table are quick at once, not only some time later. */
  settle(table: string): string
  /** Now and then: looks whether tables have changed so much that plans want new statistics, where the database does not do so itself. */
  tidy(): Promise<unknown>
  /** Writes the whole database into a file, as it is at one moment, while others use it. @throws BackupError */
  backup(file: string): Promise<void>
  /** Puts what a backup holds in the place of everything in the database: all of it or nothing. @throws BackupError */
  restore(file: string): Promise<void>
}

/** A pattern of `like` for what contains a text; `%` and `_` are plain letters. */
export const likePattern = (part: string): string => `%${part.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
