// Hono on Node.js, with its own validator for Zod and its own JWT helper, and Kysely.
import { serve } from '@hono/node-server'
import { zValidator } from '@hono/zod-validator'
import Sqlite from 'better-sqlite3'
import { Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import { HTTPException } from 'hono/http-exception'
import { verify } from 'hono/jwt'
import { Kysely, PostgresDialect, SqliteDialect, type Generated } from 'kysely'
import pg from 'pg'
import { z } from 'zod'
import {
  accessTokens,
  bearerToken,
  databaseUrl,
  failure,
  folded,
  itemStatuses,
  listenOn,
  paginate,
  poolSize,
  ready,
  sqliteFile,
  sqlitePragmas,
  success,
} from '../shared.ts'

/** A `bigint` of PostgreSQL comes as text. */
type Key = number | string

interface Tables {
  items: {
    id: Generated<Key>
    public_id: Generated<string>
    /** A Date from PostgreSQL, an ISO text from SQLite: the same in JSON. */
    created_at: Generated<Date | string>
    updated_at: Generated<Date | string>
    deleted_at: Date | string | null
    name: string
    description: string | null
    name_folded: string
    description_folded: string | null
    status: string
    priority: number
    owner_id: Key | null
  }
  users: { id: Key; public_id: string; deleted_at: Date | string | null; role: string; is_active: boolean }
  sessions: {
    public_id: string
    user_id: Key
    expires_at: Date | string
    idle_expires_at: Date | string
    revoked_at: Date | string | null
  }
}

const db = new Kysely<Tables>({ dialect: sqliteFile === undefined ? postgresql() : sqlite(sqliteFile) })

function postgresql() {
  return new PostgresDialect({ pool: new pg.Pool({ connectionString: databaseUrl, max: poolSize }) })
}

function sqlite(file: string) {
  const database = new Sqlite(file)
  for (const pragma of sqlitePragmas) database.pragma(pragma)
  return new SqliteDialect({ database })
}

const columns = [
  'items.public_id',
  'items.name',
  'items.description',
  'items.status',
  'items.priority',
  'items.created_at',
  'items.updated_at',
] as const

const itemsWithOwner = () =>
  db
    .selectFrom('items')
    .leftJoin('users', 'users.id', 'items.owner_id')
    .where('items.deleted_at', 'is', null)
    .select(columns)
    .select('users.public_id as owner_id')

/** The caller behind an access token. */
function findActor(session: string, user: string) {
  const now = new Date().toISOString()
  return db
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .where('sessions.public_id', '=', session)
    .where('sessions.revoked_at', 'is', null)
    .where('sessions.expires_at', '>', now)
    .where('sessions.idle_expires_at', '>', now)
    .where('users.public_id', '=', user)
    .where(({ eb, lit }) => eb('users.is_active', '=', lit(true)))
    .where('users.deleted_at', 'is', null)
    .select(['users.id', 'users.public_id', 'users.role'])
    .executeTakeFirst()
}

const itemParameters = z.object({ public_id: z.guid() })
const listQuery = z.strictObject({
  page: z.coerce.number().int().min(1).default(1),
  per_page: z.coerce.number().int().min(1).max(100).default(20),
})
const newItem = z.strictObject({
  name: z.string().trim().min(1).max(100),
  description: z.string().max(10_000).nullable().default(null),
  status: z.enum(itemStatuses).default('draft'),
  priority: z.int().min(1).max(5).default(1),
})

const validate = <Target extends 'json' | 'query' | 'param', Schema extends z.ZodType>(
  target: Target,
  schema: Schema,
) =>
  zValidator(target, schema, (result) => {
    if (!result.success) throw new HTTPException(400, { message: z.prettifyError(result.error) })
  })

const { secret, issuer, typ } = accessTokens
// Imported once: given the text, Hono would import it for each request.
const algorithm = { name: 'HMAC', hash: 'SHA-256' }
const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), algorithm, false, ['verify'])

type Actor = NonNullable<Awaited<ReturnType<typeof findActor>>>

/** Verifies the token, and reads its session and user. */
const authenticate = createMiddleware<{ Variables: { actor: Actor } }>(async (c, next) => {
  const token = bearerToken(c.req.header('authorization')) ?? ''
  const claims = await verify(token, key, { alg: 'HS256', iss: issuer, aud: issuer, typ }).catch(() => {
    throw new HTTPException(401, { message: 'The access token is not valid' })
  })
  const actor = await findActor(String(claims['sid']), String(claims['sub']))
  if (!actor) throw new HTTPException(401, { message: 'The session has ended' })
  c.set('actor', actor)
  await next()
})

const app = new Hono()

app.get('/api/v1/items', validate('query', listQuery), async (c) => {
  const page = c.req.valid('query')
  const [items, { total }] = await Promise.all([
    itemsWithOwner()
      .orderBy('items.created_at', 'desc')
      .orderBy('items.id', 'desc')
      .limit(page.per_page)
      .offset((page.page - 1) * page.per_page)
      .execute(),
    db
      .selectFrom('items')
      .where('deleted_at', 'is', null)
      .select(({ fn }) => fn.countAll().as('total'))
      .executeTakeFirstOrThrow(),
  ])
  return c.json(success({ items, pagination: paginate(page, Number(total)) }))
})

app.get('/api/v1/items/:public_id', validate('param', itemParameters), async (c) => {
  const { public_id } = c.req.valid('param')
  const item = await itemsWithOwner().where('items.public_id', '=', public_id).executeTakeFirst()
  if (!item) throw new HTTPException(404, { message: 'There is no such item' })
  return c.json(success(item))
})

app.post('/api/v1/items', authenticate, validate('json', newItem), async (c) => {
  const body = c.req.valid('json')
  const actor = c.get('actor')
  const item = await db
    .insertInto('items')
    .values({ ...body, ...folded(body), owner_id: actor.id })
    .returning(columns)
    .executeTakeFirstOrThrow()
  c.header('location', `/api/v1/items/${item.public_id}`)
  return c.json(success({ ...item, owner_id: actor.public_id }), 201)
})

app.notFound((c) => c.json(failure(404, 'There is no such address'), 404))

app.onError((error, c) => {
  if (error instanceof HTTPException) return c.json(failure(error.status, error.message), error.status)
  return c.json(failure(500, 'Internal error'), 500)
})

serve({ fetch: app.fetch, hostname: listenOn.host, port: listenOn.port }, ready)
