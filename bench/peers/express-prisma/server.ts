// Express 5, Prisma 7 and Zod, with jsonwebtoken for the access tokens.
import { createServer } from 'node:http'
import { PrismaBetterSqlite3 } from '@prisma/adapter-better-sqlite3'
import { PrismaPg } from '@prisma/adapter-pg'
import express, { type NextFunction, type Request, type Response } from 'express'
import jwt from 'jsonwebtoken'
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
import { PrismaClient } from './generated/postgresql/client.ts'

const prisma = sqliteFile === undefined ? openPostgresql() : await openSqlite(sqliteFile)

function openPostgresql() {
  // Prepared statements are kept when they have a name; one for each text.
  const names = new Map<string, string>()
  const statementNameGenerator = ({ sql }: { sql: string }) => {
    const name = names.get(sql) ?? `prisma_${names.size}`
    names.set(sql, name)
    return name
  }
  const adapter = new PrismaPg({ connectionString: databaseUrl, max: poolSize }, { statementNameGenerator })
  return new PrismaClient({ adapter })
}

/** Prisma generates a client for each kind of database; they are called alike. */
async function openSqlite(url: string) {
  const { PrismaClient: SqliteClient } = await import('./generated/sqlite/client.ts')
  const client = new SqliteClient({ adapter: new PrismaBetterSqlite3({ url }) }) as unknown as PrismaClient
  for (const pragma of sqlitePragmas) await client.$queryRawUnsafe(`pragma ${pragma}`)
  return client
}

const columns = {
  public_id: true,
  name: true,
  description: true,
  status: true,
  priority: true,
  created_at: true,
  updated_at: true,
} as const
const withOwner = { ...columns, owner: { select: { public_id: true } } } as const

const view = <T extends { owner: { public_id: string } | null }>({ owner, ...item }: T) => ({
  ...item,
  owner_id: owner?.public_id ?? null,
})

class HttpError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
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

interface Claims {
  sub: string
  sid: string
}

/** Verifies the token, and reads its session and user. */
async function authenticate(request: Request, response: Response, next: NextFunction) {
  const claims = verify(bearerToken(request.headers.authorization))
  const now = new Date()
  const session = await prisma.sessions.findFirst({
    where: {
      public_id: claims.sid,
      revoked_at: null,
      expires_at: { gt: now },
      idle_expires_at: { gt: now },
      user: { public_id: claims.sub, is_active: true, deleted_at: null },
    },
    select: { user: { select: { id: true, public_id: true, role: true } } },
  })
  if (!session) throw new HttpError(401, 'The session has ended')
  response.locals['actor'] = session.user
  next()
}

function verify(token = ''): Claims {
  const { key, issuer, typ } = accessTokens
  try {
    const options = {
      algorithms: ['HS256' as const],
      issuer,
      audience: issuer,
      clockTolerance: 10,
      complete: true as const,
    }
    const { header, payload } = jwt.verify(token, key, options)
    if (header.typ === typ) return payload as unknown as Claims
  } catch {
    // Whatever is wrong with it, the answer is the same.
  }
  throw new HttpError(401, 'The access token is not valid')
}

const app = express()
app.disable('x-powered-by')
app.use(express.json({ limit: '1mb' }))

app.get('/api/v1/items', async (request, response) => {
  const page = listQuery.parse(request.query)
  const where = { deleted_at: null }
  const [items, total] = await Promise.all([
    prisma.items.findMany({
      where,
      select: withOwner,
      orderBy: [{ created_at: 'desc' }, { id: 'desc' }],
      take: page.per_page,
      skip: (page.page - 1) * page.per_page,
    }),
    prisma.items.count({ where }),
  ])
  response.json(success({ items: items.map(view), pagination: paginate(page, total) }))
})

app.get('/api/v1/items/:public_id', async (request, response) => {
  const { public_id } = itemParameters.parse(request.params)
  const item = await prisma.items.findUnique({ where: { public_id, deleted_at: null }, select: withOwner })
  if (!item) throw new HttpError(404, 'There is no such item')
  response.json(success(view(item)))
})

app.post('/api/v1/items', authenticate, async (request, response) => {
  const body = newItem.parse(request.body)
  const actor = response.locals['actor'] as { id: bigint; public_id: string }
  const item = await prisma.items.create({ data: { ...body, ...folded(body), owner_id: actor.id }, select: columns })
  response
    .status(201)
    .location(`/api/v1/items/${item.public_id}`)
    .json(success({ ...item, owner_id: actor.public_id }))
})

app.use(() => {
  throw new HttpError(404, 'There is no such address')
})

app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
  const status =
    error instanceof z.ZodError ? 400 : error instanceof Error && 'status' in error ? Number(error.status) : 500
  response.status(status).json(failure(status, status < 500 ? (error as Error).message : 'Internal error'))
})

const server = createServer(app).listen(listenOn, () => ready(server.address()))
