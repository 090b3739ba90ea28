import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { sql, type RawBuilder } from 'kysely'
import pg from 'pg'
import type { Database } from '../../src/db/database.ts'
import type { SentStatement } from './statements.ts'

export const items = 100_000
const others = 20_000
const day = 24 * 60 * 60

const from = (count: number) =>
  sql`with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${sql.lit(count)})`

/** Fills every table with few statements, as a service that purges now and then leaves them, and has the database count what it holds. */
export async function fillTables({ engine, query, clock }: Database): Promise<void> {
  const run = (statement: RawBuilder<unknown>) => statement.execute(query())
  const isLite = engine.kind === 'sqlite'
  const publicId = isLite
    ? sql`'00000000-0000-4000-8000-' || printf('%012d', n)`
    : sql`('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid`
  /** One minute after the other. So many have been for longer than the days. */
  const minutes = (past: number, days = 0) => clock(sql<number>`((n - ${sql.lit(past)}) * 60 - ${sql.lit(days * day)})`)
  await run(sql`insert into users (public_id, email, password_hash, first_name, last_name)
    ${from(others)} select ${publicId}, 'user' || n || '@example.com', 'x', 'Ada', 'Lovelace' from numbers`)
  await run(sql`insert into sessions (public_id, user_id, expires_at, idle_expires_at)
    ${from(others)} select ${publicId}, n, ${minutes(0)}, ${minutes(100, 30)} from numbers`)
  await run(sql`insert into throttles (key, until, updated_at)
    ${from(others)} select 'key' || n, ${minutes(0)}, ${minutes(100, 30)} from numbers`)
  await run(sql`insert into idempotency_keys (key, request_hash, expires_at)
    ${from(others)} select 'key' || n, 'x', ${minutes(100)} from numbers`)
  await run(sql`insert into audit_events (event, user_public_id, kept_until)
    ${from(others)} select 'login.failed', ${publicId}, ${minutes(100)} from numbers`)
  const name = sql`case n % 10000 when 0 then 'rareword ' else '' end || (n * 7919 % 100000)`
  // As long as many are, and not to be indexed in full.
  const [description, searched] = [sql.lit('.'.repeat(300)), sql`case n % 20 when 0 then 'common' end`]
  await run(sql`insert into items
    (name, name_folded, description, description_folded, status, priority, owner_id, created_at, deleted_at)
    ${from(items)} select ${name}, ${name}, ${description}, ${searched},
      case when n % 10 < 6 then 'active' when n % 10 < 9 then 'draft' else 'archived' end, 1 + n % 5,
      case when n % 4 <> 0 then 1 + n % 1000 end, ${minutes(items)}, case when n % 50 = 1 then ${minutes(items)} end from numbers`)
  await run(isLite ? sql`analyze` : sql`vacuum analyze`)
}

/** How a database goes about a statement. */
export interface Plan {
  text: string
  steps: string[]
  /** Those of the steps that read a table from one end to the other. */
  scans: string[]
  /** Those that put rows in order, which an index has not. */
  sorts: string[]
}

/** Asks for the plans of statements: on PostgreSQL of each as it is planned once for any values, and for the values it was sent with. */
export async function openPlanner(url: string) {
  if (url.startsWith('sqlite:')) return sqlitePlanner(url.slice('sqlite:///'.length))
  const client = new pg.Client(url)
  await client.connect()
  return {
    close: () => client.end(),
    async plan({ text, values }: SentStatement): Promise<Plan[]> {
      const explanations = [await client.query(`explain ${text}`, values)]
      if (values.length > 0) explanations.push(await client.query(`explain (generic_plan) ${text}`))
      return explanations.map(({ rows }) => {
        const steps = (rows as { 'QUERY PLAN': string }[]).map((row) => row['QUERY PLAN'].trim())
        return {
          text,
          steps,
          scans: steps.filter((step) => step.includes('Seq Scan')),
          sorts: steps.filter((step) => /Sort Key/.test(step)),
        }
      })
    },
  }
}

function sqlitePlanner(file: string) {
  const database = new DatabaseSync(file)
  database.function('fold', { deterministic: true }, (value) => value)
  return {
    close: async () => database.close(),
    async plan({ text, values }: SentStatement): Promise<Plan[]> {
      const rows = database.prepare(`explain query plan ${text}`).all(...(values as SQLInputValue[]))
      const steps = rows.map(({ detail }) => String(detail))
      // What a query has found already is no table, nor is the result of an inner one.
      const isFound = steps.some((step) => /^(MATERIALIZE|CO-ROUTINE) /.test(step))
      return [
        {
          text,
          steps,
          scans: steps.filter((step) => /^SCAN \w+$/.test(step) && !isFound),
          sorts: steps.filter((step) => step.includes('TEMP B-TREE')),
        },
      ]
    },
  }
}
