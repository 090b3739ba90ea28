import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Expected } from '../versions.ts'

// Conditional requests (RFC 9110 §13): `If-None-Match` spares clients what they have, `If-Match` keeps what others wrote.

/** A row that was read together with its version. */
interface Versioned {
  public_id: string
  version: number
}

/**
 * A strong entity tag (RFC 9110 §8.8.3). The id is part of it, because the profiles of all accounts have one address.
 * The `timestamp` of the envelope does not count: it tells of the answer, not of the resource.
 */
const tagOf = ({ public_id, version }: Versioned) => `"${public_id}.${version}"`

/** Puts the tag of a resource on the reply, and gives the resource. The schema of such a route says `versioned`. */
export function tagged<T extends Versioned>(reply: FastifyReply, resource: T): T {
  reply.header('etag', tagOf(resource))
  return resource
}

/**
 * The versions of a resource that `If-Match` names (RFC 9110 §13.1.1); undefined where any will do. The comparison is
 * strong: a weak tag, one of another resource and what is no tag name none.
 */
export function expectedVersions({ 'if-match': header }: IncomingHttpHeaders, publicId: string): Expected {
  if (header === undefined || header.trim() === '*') return undefined
  return elementsOf(header)
    .map((element) => versionIn(element, publicId))
    .filter((version) => version !== undefined)
}

/** Undefined in what is not, to the letter, a tag of this resource. */
function versionIn(element: string, public_id: string): number | undefined {
  const version = Number(element.slice(public_id.length + 2, -1))
  // A number of 32 bits, as the column is: PostgreSQL takes no other.
  const isVersion = version === (version | 0) && element === tagOf({ public_id, version })
  return isVersion ? version : undefined
}

/** Makes a read of what the client has already end in 304, without a body (RFC 9110 §13.1.2). */
export function spareUnchanged(app: FastifyInstance): void {
  app.addHook('onSend', ({ method, headers }, reply, payload, done) => {
    const known = headers['if-none-match']
    if (known === undefined || (method !== 'GET' && method !== 'HEAD') || reply.statusCode !== 200) return done()
    const tag = reply.getHeader('etag')
    if (typeof tag !== 'string' || !isNamed(tag, known)) return done()
    reply.code(304).removeHeader('content-type')
    // The body of a HEAD is for Fastify to take away, which tells its length.
    done(null, method === 'HEAD' ? payload : null)
  })
}

/** Whether a list of tags names a strong one, by the weak comparison (RFC 9110 §8.8.3.2). */
const isNamed = (tag: string, list: string) =>
  list.trim() === '*' || elementsOf(list).some((element) => element === tag || element === `W/${tag}`)

/** The elements of a list (RFC 9110 §5.6.1). Tags may hold commas: ours do not, and no part of another looks like one. */
const elementsOf = (list: string) => list.split(',').map((element) => element.trim())
