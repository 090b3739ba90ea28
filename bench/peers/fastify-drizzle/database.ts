// The tables, once for each kind of database as Drizzle has it, and the queries, prepared once for all.
import { and, count, desc, eq, gt, isNull, sql } from 'drizzle-orm'
import * as pg from 'drizzle-orm/pg-core'
import * as sqlite from 'drizzle-orm/sqlite-core'
import { databaseUrl, poolSize, sqliteFile, sqlitePragmas } from '../shared.ts'

const time = () => pg.timestamp({ withTimezone: true, precision: 3 })

const postgresqlTables = {
  items: pg.pgTable('items', {
    id: pg.bigserial({ mode: 'number' }).primaryKey(),
    public_id: pg.uuid().notNull(),
    created_at: time().notNull().defaultNow(),
    updated_at: time().notNull().defaultNow(),
    deleted_at: time(),
    name: pg.varchar({ length: 100 }).notNull(),
    description: pg.text(),
    name_folded: pg.text().notNull(),
    description_folded: pg.text(),
    status: pg.text().notNull(),
    priority: pg.integer().notNull(),
    owner_id: pg.bigint({ mode: 'number' }),
  }),
  users: pg.pgTable('users', {
    id: pg.bigserial({ mode: 'number' }).primaryKey(),
    public_id: pg.uuid().notNull(),
    deleted_at: time(),
    role: pg.text().notNull(),
    is_active: pg.boolean().notNull(),
  }),
  sessions: pg.pgTable('sessions', {
    public_id: pg.uuid().notNull(),
    user_id: pg.bigint({ mode: 'number' }).notNull(),
    expires_at: time().notNull(),
    idle_expires_at: time().notNull(),
    revoked_at: time(),
  }),
}

/** Times are ISO texts in the file. */
const now = sql`(strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))`

const sqliteTables = {
  items: sqlite.sqliteTable('items', {
    id: sqlite.integer().primaryKey(),
    public_id: sqlite.text().notNull(),
    created_at: sqlite.text().notNull().default(now),
    updated_at: sqlite.text().notNull().default(now),
    deleted_at: sqlite.text(),
    name: sqlite.text().notNull(),
    description: sqlite.text(),
    name_folded: sqlite.text().notNull(),
    description_folded: sqlite.text(),
    status: sqlite.text().notNull(),
    priority: sqlite.integer().notNull(),
    owner_id: sqlite.integer(),
  }),
  users: sqlite.sqliteTable('users', {
    id: sqlite.integer().primaryKey(),
    public_id: sqlite.text().notNull(),
    deleted_at: sqlite.text(),
    role: sqlite.text().notNull(),
    is_active: sqlite.integer({ mode: 'boolean' }).notNull(),
  }),
  sessions: sqlite.sqliteTable('sessions', {
    public_id: sqlite.text().notNull(),
    user_id: sqlite.integer().notNull(),
    expires_at: sqlite.text().notNull(),
    idle_expires_at: sqlite.text().notNull(),
    revoked_at: sqlite.text(),
  }),
}

// Both are called alike; the types are PostgreSQL's.
type Tables = typeof postgresqlTables
const { items, users, sessions } = sqliteFile === undefined ? postgresqlTables : (sqliteTables as unknown as Tables)
const db = sqliteFile === undefined ? await openPostgresql() : await openSqlite(sqliteFile)

async function openPostgresql() {
  const { drizzle } = await import('drizzle-orm/node-postgres')
  return drizzle({ connection: { connectionString: databaseUrl, max: poolSize } })
}

async function openSqlite(file: string) {
  const { drizzle } = await import('drizzle-orm/better-sqlite3')
  const opened = drizzle({ connection: { source: file } })
  for (const pragma of sqlitePragmas) opened.$client.pragma(pragma)
  return opened as unknown as Awaited<ReturnType<typeof openPostgresql>>
}

const { public_id, name, description, status, priority, created_at, updated_at } = items
const columns = { public_id, name, description, status, priority, created_at, updated_at }
const withOwner = { ...columns, owner_id: users.public_id }

export const findItem = db
  .select(withOwner)
  .from(items)
  .leftJoin(users, eq(users.id, items.owner_id))
  .where(and(eq(items.public_id, sql.placeholder('public_id')), isNull(items.deleted_at)))
  .prepare('find_item')

export const listItems = db
  .select(withOwner)
  .from(items)
  .leftJoin(users, eq(users.id, items.owner_id))
  .where(isNull(items.deleted_at))
  .orderBy(desc(items.created_at), desc(items.id))
  .limit(sql.placeholder('limit'))
  .offset(sql.placeholder('offset'))
  .prepare('list_items')

export const countItems = db
  .select({ total: count() })
  .from(items)
  .where(isNull(items.deleted_at))
  .prepare('count_items')

export const addItem = db
  .insert(items)
  .values({
    public_id: sql.placeholder('public_id'),
    name: sql.placeholder('name'),
    description: sql.placeholder('description'),
    name_folded: sql.placeholder('name_folded'),
    description_folded: sql.placeholder('description_folded'),
    status: sql.placeholder('status'),
    priority: sql.placeholder('priority'),
    owner_id: sql.placeholder('owner_id'),
  })
  .returning(columns)
  .prepare('add_item')

/** The caller behind an access token. */
export const findActor = db
  .select({ id: users.id, public_id: users.public_id, role: users.role })
  .from(sessions)
  .innerJoin(users, eq(users.id, sessions.user_id))
  .where(
    and(
      eq(sessions.public_id, sql.placeholder('session')),
      isNull(sessions.revoked_at),
      gt(sessions.expires_at, sql.placeholder('now')),
      gt(sessions.idle_expires_at, sql.placeholder('now')),
      eq(users.public_id, sql.placeholder('user')),
      eq(users.is_active, true),
      isNull(users.deleted_at),
    ),
  )
  .prepare('find_actor')
