import { PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { UnavailableError } from '../core/errors.ts'
import type { Engine } from './engine.ts'
import { explain } from './errors.ts'
import { createLine } from './line.ts'

const { builtins } = pg.types

/**
 * PostgreSQL, through a pool of connections.
 * @param queueSize how many may wait for a connection
 * @param timeoutSeconds the longest that a statement, a lock or a free connection may take
 */
export function postgresqlEngine(url: string, poolSize: number, queueSize: number, timeoutSeconds: number): Engine {
  const timeout = timeoutSeconds * 1000
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
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
  pool.on('connect', explainErrors)
  // The pool throws at once, rather than reject, when it cannot read a certificate that the URL names.
  const connect = async () => pool.connect()
  const line = createLine(queueSize)
  return {
    kind: 'postgresql',
    dialect: new PostgresDialect({
      pool: {
        // Whatever the reason: who cannot connect has no database.
        async connect() {
          const client = await line.wait(connect).catch((error: unknown) => {
            if (error instanceof UnavailableError) throw error
            throw new UnavailableError('The database is not available right now', { cause: error })
          })
          if (!pool.ending) return client
          // Closed meanwhile: Kysely would fail to take it and never give it back, and closing would wait for ever.
          client.release()
          throw new UnavailableError('The database is being closed')
        },
        end: () => pool.end(),
        options: pool.options,
      },
    }),
    delay: line.delay,
    exists: () => true,
    clock: (seconds = 0) => sql`now() + make_interval(secs => ${seconds})`,
    fold: (text) => sql`replace(lower(upper(lower(${text} collate "und-x-icu"))), 'ς', 'σ')`,
    migrationLock,
    dropStatements,
    tables: sql`select tablename as name from pg_tables where schemaname = current_schema()`,
    size: (table) =>
      table === undefined
        ? sql`pg_database_size(current_database())`
        : sql`pg_total_relation_size(quote_ident(${table})::regclass)`,
    version: sql`'PostgreSQL ' || current_setting('server_version')`,
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

/** Makes a connection explain its errors, and gives it up when it no longer answers. */
function explainErrors(client: pg.PoolClient): void {
  // A connection lost while in use fails its query, which is enough; unheard, the event would end the process.
  client.on('error', () => {})
  const send = client.query.bind(client) as (...parameters: unknown[]) => unknown
  const query = (...parameters: unknown[]) => {
    const result = send(...parameters)
    if (!(result instanceof Promise)) return result
    return result.catch((error: Error) => {
      // The answer may still come, and would be taken for the next query's: never use this connection again.
      if (error.message === 'Query read timeout') void (client as pg.PoolClient & pg.Client).end()
      throw explain(error)
    })
  }
  client.query = query as typeof client.query
}

/** A time is read as it is sent to clients: ISO 8601, UTC, milliseconds. A `bigint` (a count) is a number. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === builtins.TIMESTAMPTZ) return (value: string) => new Date(value).toISOString()
  if (oid === builtins.INT8) return Number
  return pg.types.getTypeParser(oid, format)
}
