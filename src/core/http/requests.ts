import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger, FastifyBodyParser, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError, MethodNotAllowedError, NotFoundError } from '../errors.ts'
import { failure, pathOf, statusOf } from './responses.ts'

/** On every answer, errors included. The docs page has its own content policy. */
export const securityHeaders = {
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** Takes a well-formed `X-Request-Id`, so that one id follows a request through several services; makes one otherwise. */
export function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID()
}

export const identify = (request: FastifyRequest, reply: FastifyReply) =>
  reply.headers(securityHeaders).header('x-request-id', request.id)

/** The latest answer on each connection, for `handleClientError`. */
const answers = new WeakMap<object, ServerResponse>()

/** Puts the request id and the security headers on every answer. */
export function identifyRequests(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    identify(request, reply)
    answers.set(request.raw.socket, reply.raw)
    done()
  })
}

/**
 * What Node lets pass and RFC 9112 does not (§3.2, §6.1): no `Host` or more than one, and a transfer coding
 * other than `chunked`. A proxy in front may understand such a request differently.
 */
export function isDoubtfullyFramed({ rawHeaders, httpVersion, headers }: IncomingMessage): boolean {
  let hosts = 0
  for (let name = 0; name < rawHeaders.length; name += 2) if (rawHeaders[name]!.toLowerCase() === 'host') hosts++
  const hasHost = hosts === 1 || (hosts === 0 && httpVersion !== '1.1')
  return !hasHost || !/^(chunked)?$/i.test(headers['transfer-encoding'] ?? '')
}

export function refuseDoubtfulFraming(app: FastifyInstance): void {
  app.addHook('onRequest', ({ raw }, reply, done) => {
    if (!isDoubtfullyFramed(raw)) return done()
    reply.header('connection', 'close')
    throw new AppError('bad_request', 'The request is malformed')
  })
}

/**
 * Refuses what a client expects beyond `100-continue` (RFC 9110 §10.1.1). Node answers such a request by itself, without
 * our headers, unless somebody listens; that one comes to the hooks like any other.
 */
export function refuseExpectations(app: FastifyInstance): void {
  const unmet = new WeakSet<IncomingMessage>()
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    unmet.add(request)
    app.server.emit('request', request, response)
  })
  app.addHook('onRequest', ({ raw }, _reply, done) => {
    if (raw.headers.expect !== undefined && unmet.has(raw))
      throw new AppError('expectation_failed', 'The server meets no other expectation than 100-continue')
    done()
  })
}

/** Bodies come as they are: unpacking them would let a small body become a huge one. */
export function refuseContentCodings(app: FastifyInstance): void {
  app.addHook('onRequest', ({ method, headers }, _reply, done) => {
    if (method !== 'GET' && method !== 'HEAD' && (headers['content-encoding'] ?? 'identity') !== 'identity')
      throw new AppError('unsupported_media_type', 'Send the body without a content coding')
    done()
  })
}

/** Strict UTF-8 and strict JSON. An empty body counts as none. */
export const parseJson: FastifyBodyParser<Buffer> = (_request, body, done) => {
  if (body.length === 0) return done(null, undefined)
  try {
    done(null, JSON.parse(utf8.decode(body)))
  } catch {
    done(new AppError('invalid_json', 'The body is not valid JSON in UTF-8'))
  }
}
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses a query string. A value that is not percent-encoded UTF-8 becomes a lone surrogate, which
 * every text schema refuses with 400; a name given twice becomes a list, which they refuse as well.
 */
export function parseQuery(query: string): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = Object.create(null)
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const split = pair.indexOf('=')
    const name = decode(split < 0 ? pair : pair.slice(0, split))
    const value = split < 0 ? '' : decode(pair.slice(split + 1))
    const known = result[name]
    if (Array.isArray(known)) known.push(value)
    else result[name] = known === undefined ? value : [known, value]
  }
  return result
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return '\uD800'
  }
}

/**
 * Answers 404 for unknown paths and 405 for known ones asked with another method, before any body is
 * read. Fastify itself knows only the 404.
 */
export function rejectUnknownRoutes(app: FastifyInstance): void {
  const routes = new Map<string, { pattern: RegExp; methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    if (url === '*') return
    const route = routes.get(url) ?? {
      pattern: new RegExp(
        `^${url
          .replaceAll('.', String.raw`\.`)
          .replaceAll(/:\w+/g, '[^/]+')
          .replace('*', '.*')}$`,
      ),
      methods: new Set(),
    }
    for (const name of [method].flat()) route.methods.add(name)
    routes.set(url, route)
  })
  app.addHook('onRequest', (request, reply, done) => {
    // The router takes `/items/` for an item with an empty id, and any OPTIONS for one of CORS, which has been answered.
    if (!request.is404 && request.method !== 'OPTIONS' && !/.\/$/.test(pathOf(request))) return done()
    const path = decodedPath(request)
    const matching = [...routes.values()].filter(({ pattern }) => pattern.test(path))
    const methods = [...new Set(matching.flatMap((route) => [...route.methods]))].toSorted()
    if (methods.length === 0) throw new NotFoundError()
    if (request.method !== 'OPTIONS') throw new MethodNotAllowedError(methods)
    reply.code(204).header('allow', methods.join(', ')).send()
  })
}

/** The path as the router sees it: decoded, and without the host that a proxy's request names. */
const decodedPath = (request: FastifyRequest) =>
  decode(
    pathOf(request)
      .replace(/^https?:\/\/[^/]*/i, '')
      .replace(/#.*/, ''),
  )

/** Answers what is too broken to become a request: bad framing, oversized headers, a client too slow. */
export function handleClientError(error: NodeJS.ErrnoException, socket: Socket, log: FastifyBaseLogger): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  // Bytes that follow a whole request must not take the place of its answer, nor may a request that was answered
  // before it had all arrived get a second one.
  const answer = answers.get(socket)
  if (answer && (answer.req.complete ? !answer.writableFinished : answer.headersSent)) {
    if (answer.writableFinished) socket.end()
    else answer.once('finish', () => socket.end())
    return
  }
  const fault =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new AppError('headers_too_large', 'The headers are too large')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new AppError('request_timeout', 'The request took too long to arrive')
        : new AppError('bad_request', 'The request is malformed')
  const id = randomUUID()
  log.info(
    { request_id: id, status: statusOf[fault.code], cause: error.code, ip: socket.remoteAddress },
    'broken request',
  )
  const body = JSON.stringify(failure(fault, id))
  const headers = {
    ...securityHeaders,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'x-request-id': id,
    connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${statusOf[fault.code]} ${fault.message}\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
}
