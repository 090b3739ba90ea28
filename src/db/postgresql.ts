import { PostgresDialect, sql, type CompiledQuery } from 'kysely'
import pg from 'pg'
import { UnavailableError } from '../core/errors.ts'
import { likePattern, type Engine, type EngineConfig } from './engine.ts'
import { explain, isStale } from './errors.ts'
import { createLine } from './line.ts'

const { builtins } = pg.types

/** Statements that a connection keeps. With more, as lists in all their forms can make, it is worn out, and replaced. */
const preparedStatements = 500

/** PostgreSQL, through a pool of connections. A statement, a lock and the wait for a connection have one time limit. */
export function postgresqlEngine(config: EngineConfig): Engine {
  const { DATABASE_URL: url, DATABASE_PREPARED_STATEMENTS: prepared } = config
  const timeout = config.DATABASE_TIMEOUT_SECONDS * 1000
  const isWornOut = (client: pg.PoolClient) => (statements.get(client)?.size ?? 0) >= preparedStatements
  const pool = new pg.Pool({
    connectionString: url,
    max: config.DATABASE_POOL_SIZE,
    connectionTimeoutMillis: timeout,
    statement_timeout: timeout,
    lock_timeout: timeout,
    idle_in_transaction_session_timeout: timeout,
    // For a server that is silent rather than slow, whose own time limit never reaches us.
    query_timeout: timeout + 1000,
    types: { getTypeParser },
    application_name: 'app',
  })
  // An idle connection that breaks is replaced at the next request; unheard, the event would end the process.
  pool.on('error', () => {})
  pool.on('connect', (client) => adaptQueries(client, prepared))
  // The pool throws at once, rather than reject, when it cannot read a certificate that the URL names.
  const connect = async () => pool.connect()
  const line = createLine(config.DATABASE_QUEUE_SIZE)
  async function take(): Promise<pg.PoolClient> {
    let client
    try {
      client = pool.idleCount > 0 ? await pool.connect() : await line.wait(connect)
    } catch (error) {
      // Whatever the reason: who cannot connect has no database.
      if (error instanceof UnavailableError) throw error
      throw new UnavailableError('The database is not available right now', { cause: error })
    }
    if (isWornOut(client)) {
      client.release(true)
      return take()
    }
    if (!pool.ending) return client
    // Closed meanwhile: Kysely would fail to take it and never give it back, and closing would wait for ever.
    client.release()
    throw new UnavailableError('The database is being closed')
  }
  return {
    kind: 'postgresql',
    dialect: new PostgresDialect({ pool: { connect: take, end: async () => {}, options: pool.options } }),
    async run<Row>({ sql: text, parameters }: CompiledQuery<Row>) {
      const client = await take()
      try {
        const { rows, rowCount } = await client.query({ text, values: parameters as unknown[] })
        return { rows: rows as Row[], numAffectedRows: BigInt(rowCount ?? 0) }
      } finally {
        client.release()
      }
    },
    close: () => pool.end(),
    delay: line.delay,
    exists: () => true,
    clock: (seconds) => (seconds === undefined ? sql`now()` : sql`now() + make_interval(secs => ${seconds})`),
    fold: (text) => sql`replace(lower(upper(lower(${text} collate "und-x-icu"))), 'ς', 'σ')`,
    search: {
      phrase: likePattern,
      find: ({ table, columns }, phrase) => {
        const contained = columns.map((column) => sql`${sql.ref(column)} like ${phrase}`)
        return sql`(select * from ${sql.table(table)} where ${sql.join(contained, sql` or `)})`
      },
      some: (found, limit) => sql`(with found as materialized ${found} select * from found limit ${sql.lit(limit)})`,
    },
    tryLock: (key) => sql`pg_try_advisory_xact_lock(hashtextextended(${key}, 0))`,
    migrationLock,
    dropStatements,
    tables: sql`select tablename as name from pg_tables where schemaname = current_schema()`,
    size: (table) =>
      table === undefined
        ? sql`pg_database_size(current_database())`
        : sql`pg_total_relation_size(quote_ident(${table})::regclass)`,
    version: sql`'PostgreSQL ' || current_setting('server_version')`,
    unpack: (table, columns, json) =>
      sql`select ${sql.join(columns.map((name) => sql.ref(name)))} from json_populate_recordset(null::${sql.table(table)}, ${json})`,
    // Also marks pages as visible to all, without which a count reads the table beside its index.
    settle: (table) => `vacuum (analyze) ${table}`,
    tidy: async () => {},
    backup: async (file) => (await import('./postgresql-backup.ts')).backup(url, file),
    restore: async (file) => (await import('./postgresql-backup.ts')).restore(url, file),
  }
}

export const migrationLock = 'select pg_advisory_xact_lock(4711, 1)'

/**
 * Everything in the schema but what extensions brought. `cascade`, and so `if exists`: one thing takes others along.
 * Tables first and then types: a sequence of an identity column, or a range's functions, go with theirs and not alone.
 */
export const dropStatements = `
  select format('drop %s if exists %s cascade', kind, name) as statement
  from (
    select 'pg_class'::regclass as class, oid, oid::regclass::text as name,
      case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
        when 'f' then 'foreign table' else 'table' end as kind
    from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
    union all
    select 'pg_proc'::regclass, oid, oid::regprocedure::text, 'routine'
    from pg_proc where pronamespace = current_schema()::regnamespace
    union all
    select 'pg_type'::regclass, oid, oid::regtype::text, 'type'
    from pg_type where typnamespace = current_schema()::regnamespace
      and (typtype in ('e', 'd', 'r') or typrelid in (select oid from pg_class where relkind = 'c'))
  ) as things
  where not exists (select from pg_depend where classid = class and objid = oid and deptype = 'e')
  order by kind = 'table' desc, kind = 'type' desc
`

/**
 * Makes a connection explain its errors, give itself up when it no longer answers, and have the database parse each
 * statement once.
 */
function adaptQueries(client: pg.PoolClient, prepared: boolean): void {
  const names = new Map<string, string>()
  statements.set(client, names)
  // A connection lost while in use fails its query, which is enough; unheard, the event would end the process.
  client.on('error', () => {})
  const send = client.query.bind(client) as (query: unknown, values?: unknown) => unknown
  const query = (text: string | pg.QueryConfig, values?: unknown[]) => {
    // A text without values may be several statements, as migrations send them, and those cannot have one name.
    const single = typeof text !== 'string' ? text : values?.length ? { text, values } : undefined
    const name = prepared && single ? nameOf(single.text, names) : undefined
    const result = name === undefined ? send(text, values) : send({ ...single, name })
    if (!(result instanceof Promise)) return result
    return result.catch((error: Error) => {
      // The answer may still come, and would be taken for the next query's; or a migration changed the columns of a
      // statement that was parsed before: never use this connection again.
      if (error.message === 'Query read timeout' || isStale(error)) void (client as pg.PoolClient & pg.Client).end()
      throw explain(error)
    })
  }
  client.query = query as typeof client.query
}

/** The names of the statements that a connection keeps, by their text. */
const statements = new WeakMap<pg.PoolClient, Map<string, string>>()

/** The name of a statement; undefined when there are enough. */
function nameOf(text: string, names: Map<string, string>): string | undefined {
  const known = names.get(text)
  if (known !== undefined || names.size >= preparedStatements) return known
  const name = `s${names.size + 1}`
  names.set(text, name)
  return name
}

/** A time is read as it is sent to clients: ISO 8601, UTC, milliseconds. A `bigint` (a count) is a number. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === builtins.TIMESTAMPTZ) return readTime
  if (oid === builtins.INT8) return Number
  return pg.types.getTypeParser(oid, format)
}

/** In UTC with all milliseconds, as most are, it wants a few letters changed; that takes a tenth of reading it. */
const readTime = (value: string) =>
  value.length === 26 && value.endsWith('+00')
    ? `${value.slice(0, 10)}T${value.slice(11, 23)}Z`
    : new Date(value).toISOString()
