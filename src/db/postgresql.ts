import { PostgresDialect, sql, type CompiledQuery, type QueryResult } from 'kysely'
import { likePattern, type Engine, type EngineConfig } from './engine.ts'
import { isRetryable } from './errors.ts'
import { createPool } from './postgresql-pool.ts'
import { retry } from './transactions.ts'

/** PostgreSQL, through a pool of connections. */
export function postgresqlEngine(config: EngineConfig): Engine {
  const { DATABASE_URL: url } = config
  const { take, close, delay, options } = createPool(config)
  async function run<Row>({ sql: text, parameters }: CompiledQuery<Row>): Promise<QueryResult<Row>> {
    const client = await take()
    try {
      const { rows, rowCount } = await client.query({ text, values: parameters as unknown[] })
      return { rows: rows as Row[], numAffectedRows: BigInt(rowCount ?? 0) }
    } finally {
      client.release()
    }
  }
  return {
    kind: 'postgresql',
    dialect: new PostgresDialect({ pool: { connect: take, end: async () => {}, options } }),
    run: (query) =>
      // Nearly all succeed at once; `retry` would cost each of them more promises.
      run(query).catch((error: unknown) => {
        if (isRetryable(error)) return retry(() => run(query))
        throw error
      }),
    close,
    delay,
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
