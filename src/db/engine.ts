import type { Dialect, Expression, RawBuilder } from 'kysely'

/** What differs between the databases. Everything else is one code base; nothing outside `db/` asks which it is. */
export interface Engine {
  readonly kind: 'sqlite' | 'postgresql'
  readonly dialect: Dialect
  /** Whether there is a database to open; opening a SQLite file that is not there would make it. */
  exists(): boolean
  /** The database's own time, moved by `seconds`; one clock for all servers that share it. */
  clock(seconds?: number | Expression<number>): RawBuilder<string>
  /** The text without letter case, beyond ASCII too. */
  fold(text: Expression<string | null>): RawBuilder<string>
  /** Taken in a transaction, keeps every other migrator out until it ends. */
  readonly migrationLock: string
}
