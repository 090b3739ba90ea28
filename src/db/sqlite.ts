import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { CompiledQuery, sql, type SqliteDatabase } from 'kysely'
import { projectRoot } from '../core/config.ts'
import { fold } from '../core/fold.ts'
import type { Engine, EngineConfig } from './engine.ts'
import { explain } from './errors.ts'
import { createLine } from './line.ts'
import { Dialect, Driver } from './sqlite-driver.ts'

/** Milliseconds that opening a file waits for another process that is just doing the same. */
const openingWait = 5000
const cachedStatements = 500
/** Rows of an index that \`analyze\` looks at: enough to choose plans by, and quick in a table of any size. */
const analysedRows = 1000

/**
 * SQLite, through Node's own `node:sqlite`. `DATABASE_URL` is `sqlite:///file.db` (relative to the project),
 * `sqlite:////absolute/file.db` or `sqlite:///:memory:`; `DATABASE_TIMEOUT_SECONDS` is how long a statement waits for
 * another process to release the file.
 */
export function sqliteEngine(
  config: Omit<EngineConfig, 'DATABASE_POOL_SIZE' | 'DATABASE_PREPARED_STATEMENTS'>,
): Engine {
  const file = config.DATABASE_URL.slice('sqlite:///'.length)
  const path = file === ':memory:' || isAbsolute(file) ? file : join(projectRoot, file)
  let opened: ReturnType<typeof openFile> | undefined
  const line = createLine(config.DATABASE_QUEUE_SIZE)
  const driver = new Driver(() => (opened ??= openFile(path)), line, config.DATABASE_TIMEOUT_SECONDS)
  return {
    kind: 'sqlite',
    dialect: new Dialect(driver),
    run: (query) => driver.run(query),
    close: async () => opened?.close(),
    delay: line.delay,
    exists: () => path === ':memory:' || existsSync(path),
    clock: (seconds) =>
      seconds === undefined
        ? sql`strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`
        : sql`strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ${seconds} || ' seconds')`,
    fold: (text) => sql`fold(${text})`,
    search: {
      // A phrase of the trigrams of a text is the text; only its quotes need care.
      phrase: (part) => `"${part.replaceAll('"', '""')}"`,
      // `cross join` reads them in this order: the index first, and no further than is wanted.
      find: ({ index, table }, phrase) => {
        const [found, rows] = [sql.table(index), sql.table(table)]
        return sql`(select ${rows}.* from ${found} cross join ${rows} on ${rows}.id = ${found}.rowid where ${found} match ${phrase})`
      },
      some: (found, limit) => sql`(select * from ${found} limit ${sql.lit(limit)})`,
    },
    // BEGIN IMMEDIATE has taken the one lock already.
    tryLock: () => sql`true`,
    migrationLock: 'select 1',
    // Virtual tables first: their own tables go with them.
    dropStatements: `
      select 'drop ' || type || ' if exists "' || replace(name, '"', '""') || '"' as statement from sqlite_master
      where type in ('table', 'view') and name not like 'sqlite~_%' escape '~' order by sql not like 'create virtual%'`,
    // Not what belongs to a virtual table; that counts for the table it is named after.
    tables: sql`select name from pragma_table_list where schema = 'main' and type = 'table' and name not like 'sqlite~_%' escape '~'`,
    size: (table) =>
      table === undefined
        ? sql`(select page_count * page_size from pragma_page_count, pragma_page_size)`
        : sql`(select sum(pgsize) from dbstat 
            where name in (select name from sqlite_master where tbl_name = ${table} or tbl_name like ${table} || '~_search~_%' escape '~'))`,
    version: sql`'SQLite ' || sqlite_version()`,
    unpack: (_table, columns, json) =>
      sql`select ${sql.join(columns.map((name) => sql`value ->> ${sql.lit(name)}`))} from json_each(${json})`,
    settle: (table) => `analyze ${table}`,
    tidy: () => driver.run(CompiledQuery.raw('pragma optimize')),
    backup: async (target) => (await import('./sqlite-backup.ts')).backup(path, target),
    restore: async (source) => (await import('./sqlite-backup.ts')).restore(path, source),
  }
}

function openFile(path: string): SqliteDatabase {
  const database = openOrExplain(path)
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
    // Kysely closes it too, if it has used it.
    close: () => (database.isOpen ? database.close() : undefined),
  }
}

function openOrExplain(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path)
    // FULL: a commit that was answered survives a power cut; WAL alone would lose the last ones.
    // Triggers also hold for what `replace` removes, and what is deleted is overwritten.
    // In the end no waiting: the driver waits for other processes, without blocking the event loop.
    database.exec(`
      pragma busy_timeout = ${openingWait};
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma foreign_keys = on;
      pragma trusted_schema = off;
      pragma recursive_triggers = on;
      pragma secure_delete = on;
      pragma analysis_limit = ${analysedRows};
      pragma busy_timeout = 0;
    `)
    database.function('fold', { deterministic: true }, (value) => (typeof value === 'string' ? fold(value) : null))
    return database
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
    all(parameters: readonly unknown[]) {
      const rows = statement.all(...bind(parameters))
      return flags.length > 0 ? rows.map(read) : rows
    },
    run: (parameters: readonly unknown[]) => statement.run(...bind(parameters)),
    *iterate(parameters: readonly unknown[]) {
      for (const row of statement.iterate(...bind(parameters))) yield read(row)
    },
  }
}
