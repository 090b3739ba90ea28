// Fastify 5 with JSON Schema in both directions, @fastify/jwt, and Drizzle's prepared queries.
import { randomUUID } from 'node:crypto'
import jwt from '@fastify/jwt'
import fastify, { type FastifyRequest } from 'fastify'
import {
  accessTokens,
  failure,
  folded,
  itemStatuses,
  listenOn,
  paginate,
  ready,
  success,
  type Page,
} from '../shared.ts'
import { addItem, countItems, findActor, findItem, listItems } from './database.ts'

interface Actor {
  id: number
  public_id: string
  role: string
}

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor
  }
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    user: { sub: string; sid: string }
  }
}

const time = { type: 'string', format: 'date-time' }
const nullableText = { type: ['string', 'null'] }

const item = {
  type: 'object',
  properties: {
    public_id: { type: 'string' },
    name: { type: 'string' },
    description: nullableText,
    status: { type: 'string' },
    priority: { type: 'integer' },
    owner_id: nullableText,
    created_at: time,
    updated_at: time,
  },
}
const pagination = {
  type: 'object',
  properties: {
    total: { type: 'integer' },
    page: { type: 'integer' },
    per_page: { type: 'integer' },
    total_pages: { type: 'integer' },
    has_next: { type: 'boolean' },
    has_prev: { type: 'boolean' },
  },
}
const envelope = (data: object) => ({
  type: 'object',
  properties: { success: { type: 'boolean' }, data, timestamp: { type: 'string' } },
})

const getSchema = {
  params: { type: 'object', required: ['public_id'], properties: { public_id: { type: 'string', format: 'uuid' } } },
  response: { 200: envelope(item) },
}
const listSchema = {
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: {
      page: { type: 'integer', minimum: 1, default: 1 },
      per_page: { type: 'integer', minimum: 1, maximum: 100, default: 20 },
    },
  },
  response: { 200: envelope({ type: 'object', properties: { items: { type: 'array', items: item }, pagination } }) },
}
const createSchema = {
  body: {
    type: 'object',
    additionalProperties: false,
    required: ['name'],
    properties: {
      name: { type: 'string', minLength: 1, maxLength: 100, pattern: '\\S' },
      description: { type: ['string', 'null'], maxLength: 10_000, default: null },
      status: { type: 'string', enum: itemStatuses, default: 'draft' },
      priority: { type: 'integer', minimum: 1, maximum: 5, default: 1 },
    },
  },
  response: { 201: envelope(item) },
}

// Unknown fields are refused, not dropped.
const app = fastify({ ajv: { customOptions: { removeAdditional: false } } })

const { secret, issuer, typ } = accessTokens
await app.register(jwt, {
  secret,
  verify: { algorithms: ['HS256'], allowedIss: issuer, allowedAud: issuer, checkTyp: typ, clockTolerance: 10_000 },
})
app.decorateRequest('actor')

/** Verifies the token, and reads its session and user. */
async function authenticate(request: FastifyRequest) {
  const { sid, sub } = await request.jwtVerify<{ sub: string; sid: string }>()
  const [actor] = await findActor.execute({ session: sid, user: sub, now: new Date().toISOString() })
  if (!actor) throw Object.assign(new Error('The session has ended'), { statusCode: 401 })
  request.actor = actor
}

app.get<{ Querystring: Page }>('/api/v1/items', { schema: listSchema }, async ({ query }) => {
  const { page, per_page } = query
  const [items, [counted]] = await Promise.all([
    listItems.execute({ limit: per_page, offset: (page - 1) * per_page }),
    countItems.execute(),
  ])
  return success({ items, pagination: paginate(query, counted!.total) })
})

app.get<{ Params: { public_id: string } }>(
  '/api/v1/items/:public_id',
  { schema: getSchema },
  async (request, reply) => {
    const [found] = await findItem.execute(request.params)
    if (!found) return reply.code(404).send(failure(404, 'There is no such item'))
    return success(found)
  },
)

interface NewItem {
  name: string
  description: string | null
  status: (typeof itemStatuses)[number]
  priority: number
}

app.post<{ Body: NewItem }>(
  '/api/v1/items',
  { schema: createSchema, onRequest: authenticate },
  async ({ actor, body }, reply) => {
    const fields = { ...body, name: body.name.trim() }
    const [added] = await addItem.execute({
      ...fields,
      ...folded(fields),
      public_id: randomUUID(),
      owner_id: actor.id,
    })
    reply.code(201).header('location', `/api/v1/items/${added!.public_id}`)
    return success({ ...added, owner_id: actor.public_id })
  },
)

app.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => {
  const status = error.statusCode ?? 500
  return reply.code(status).send(failure(status, status < 500 ? error.message : 'Internal error'))
})

await app.listen(listenOn)
ready(app.server.address())
