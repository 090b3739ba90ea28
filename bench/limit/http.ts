// The limit: what the template's items cost when written by hand, on bare `node:http`, for these seven requests alone.
//
// The same visible work as the template: the token's check, one query for session and user, the same validation
// (in a minimal form), JSON and headers. Left out: everything else, such as logs, rate limits, CORS, the API
// document, doubtful framing, telling which field was wrong, filters, other orders, confirming a refreshed session,
// taking the cursors that it makes, conditional requests and keys to send them again.
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { verifyToken } from './tokens.ts'
import { readCreate, readPage, readSearch, readUpdate, type ItemCreate, type ItemUpdate } from './validation.ts'

/** The account behind a token. */
export interface Actor {
  id: number
  public_id: string
  role: string
}

/** An item as it is listed, with its key for the cursor. */
export interface Row {
  id?: number
  created_at: string
}

/** One item, with its version for the `ETag`. */
export interface Item {
  public_id: string
  version?: number | undefined
}

interface Page {
  rows: Row[]
  total: number
}

/** Each is one statement, pages aside, which are two. Given at once or later, as the database has it. */
export interface Store {
  findActor(session: string, user: string): Given<Actor | undefined>
  find(publicId: string): Given<Item | undefined>
  list(limit: number, offset: number): Given<Page>
  search(part: string, limit: number, offset: number): Given<Page>
  add(owner: Actor, item: ItemCreate): Given<Item>
  /** Changes what is given. Gives undefined unless there is such an item, and it is the actor's own or `any` may be changed. */
  change(publicId: string, changes: ItemUpdate, actor: Actor, any: boolean): Given<Item | undefined>
  /** Gives false unless there was such an item, and it was the actor's own or `any` may be removed. */
  remove(publicId: string, actor: Actor, any: boolean): Given<boolean>
}
type Given<T> = T | Promise<T>

const path = '/api/v1/items'
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const mayChangeAny = ['moderator', 'admin', 'super_admin']
const largestBody = 1024 * 1024

class Refusal extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

const invalid = () => new Refusal(400, 'validation_error', 'The request is not valid')
const notFound = () => new Refusal(404, 'not_found', 'There is no such item')

/** Serves a store, at `PORT`. */
export function serve(store: Store): void {
  const server = createServer((request, response) => {
    handle(store, request, response).catch((error: unknown) => refuse(request, response, error))
  })
  server.keepAliveTimeout = 72_000
  server.listen(Number(process.env['PORT']), '127.0.0.1')
  process.once('SIGTERM', () => process.exit())
}

async function handle(store: Store, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url!
  const at = url.indexOf('?')
  const route = at < 0 ? url : url.slice(0, at)
  const query = at < 0 ? '' : url.slice(at + 1)
  const { method } = request

  if (route === path && method === 'GET') {
    await authenticate(store, request, false)
    const { page, perPage } = readPage(query) ?? raise(invalid())
    const found = await store.list(perPage + 1, (page - 1) * perPage)
    return answer(request, response, paginate(page, perPage, found))
  }
  if (route === `${path}/search` && method === 'GET') {
    await authenticate(store, request, false)
    const { q, page, perPage } = readSearch(query) ?? raise(invalid())
    const found = paginate(page, perPage, await store.search(q, perPage + 1, (page - 1) * perPage))
    return answer(request, response, { ...found, count: found.items.length })
  }
  if (route === path && method === 'POST') {
    const actor = await authenticate(store, request, true)
    const item = await store.add(actor!, readCreate(await readJson(request)) ?? raise(invalid()))
    return answerItem(request, response, item, 201, `${path}/${item.public_id}`)
  }
  if (!route.startsWith(`${path}/`)) throw new Refusal(404, 'not_found', 'Not found')

  const id = route.slice(path.length + 1)
  if (method === 'GET') {
    await authenticate(store, request, false)
    return answerItem(request, response, (await store.find(checked(id))) ?? raise(notFound()))
  }
  if (method !== 'PATCH' && method !== 'DELETE')
    throw new Refusal(405, 'method_not_allowed', 'The path does not take this method')
  const actor = (await authenticate(store, request, true))!
  const any = mayChangeAny.includes(actor.role)
  if (method === 'PATCH') {
    const changes = readUpdate(await readJson(request)) ?? raise(invalid())
    return answerItem(
      request,
      response,
      (await store.change(checked(id), changes, actor, any)) ?? (await whyNot(store, id)),
    )
  }
  if (!(await store.remove(checked(id), actor, any))) await whyNot(store, id)
  return answer(request, response, { message: 'The item was deleted' })
}

/** Who asks, by the Bearer token. @throws Refusal on a bad one, and on none where it is `needed` */
async function authenticate(store: Store, { headers }: IncomingMessage, needed: boolean): Promise<Actor | undefined> {
  const { authorization } = headers
  if (authorization === undefined && !needed) return undefined
  if (!authorization?.startsWith('Bearer '))
    throw new Refusal(401, 'unauthorized', 'Sign in, and send the access token as a Bearer token')
  const claims = verifyToken(authorization.slice('Bearer '.length))
  const actor = claims && (await store.findActor(claims.sid, claims.sub))
  if (!actor) throw new Refusal(401, 'invalid_token', 'The access token is not valid')
  return actor
}

async function whyNot(store: Store, id: string): Promise<never> {
  if (await store.find(id)) throw new Refusal(403, 'forbidden', 'This item belongs to someone else')
  throw notFound()
}

const checked = (id: string): string => (uuid.test(id) ? id.toLowerCase() : raise(invalid()))

function raise(refusal: Refusal): never {
  throw refusal
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  if (!request.headers['content-type']?.startsWith('application/json'))
    throw new Refusal(415, 'unsupported_media_type', 'The body must be sent as application/json')
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > largestBody) throw new Refusal(413, 'payload_too_large', 'The body is larger than 1 MiB')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString())
  } catch {
    throw new Refusal(400, 'invalid_json', 'The body is not valid JSON in UTF-8')
  }
}

/** One row more than is shown tells whether there is a next page. */
function paginate(page: number, per_page: number, { rows, total }: Page) {
  const has_next = rows.length > per_page
  if (has_next) rows.pop()
  const next_cursor = has_next ? cursorOf(rows.at(-1)!) : null
  for (const row of rows) row.id = undefined
  const total_pages = Math.ceil(total / per_page)
  return { items: rows, pagination: { total, total_pages, page, has_prev: page > 1, per_page, has_next, next_cursor } }
}

/** Signed, so that a client can make none. */
function cursorOf({ created_at, id }: Row): string {
  const place = `${created_at},${id}`
  const signature = createHmac('sha256', process.env['SECRET_KEY']!).update(place).digest('base64url')
  return `${Buffer.from(place).toString('base64url')}.${signature}`
}

function answer(request: IncomingMessage, response: ServerResponse, data: object, status = 200, more?: string[]) {
  send(request, response, status, { success: true, data, timestamp: new Date().toISOString() }, more)
}

function answerItem(request: IncomingMessage, response: ServerResponse, item: Item, status = 200, location?: string) {
  const headers = ['etag', `"${item.public_id}.${item.version}"`]
  if (location !== undefined) headers.push('location', location)
  item.version = undefined
  answer(request, response, item, status, headers)
}

function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (!(error instanceof Refusal)) console.error(error)
  const { status, code, message } =
    error instanceof Refusal ? error : new Refusal(500, 'internal_error', 'An unexpected error occurred')
  send(request, response, status, { success: false, message, code, timestamp: new Date().toISOString() })
}

/** As names and values in turn, which is what Node writes soonest. */
const fixedHeaders = Object.entries({
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
  'content-type': 'application/json; charset=utf-8',
}).flat()

function send(request: IncomingMessage, response: ServerResponse, status: number, body: object, more: string[] = []) {
  const text = JSON.stringify(body)
  const given = request.headers['x-request-id']
  const id = typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
  const headers = [...fixedHeaders, 'x-request-id', id, 'content-length', String(Buffer.byteLength(text)), ...more]
  response.writeHead(status, headers).end(text)
}
