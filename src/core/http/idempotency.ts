import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ValidationError } from '../errors.ts'
import type { Answer, KeyedRequest, Once } from '../idempotency.ts'
import { addressOf, networkOf } from './client.ts'
import { statusOf } from './responses.ts'

/** Headers of an answer that belong to what was made. */
const kept = ['location', 'etag']

/**
 * Lets clients send an `Idempotency-Key` with every POST (draft-ietf-httpapi-idempotency-key-header): whoever got no
 * answer sends the same request again, and the change is made once. It goes for the routes that are registered from now
 * on. Their handlers return what they answer, and do not send it themselves.
 */
export function acceptIdempotencyKeys(app: FastifyInstance, once: Once): void {
  app.addHook('onRoute', (route) => {
    if (![route.method].flat().includes('POST')) return
    const { handler, url } = route
    route.handler = function handle(request, reply) {
      const header = request.headers['idempotency-key']
      if (header === undefined || request.method !== 'POST') return handler.call(this, request, reply)
      const work = async () => answerOf(reply, await handler.call(this, request, reply))
      return answerOnce(request, reply, () => once(keyedRequest(request, url, String(header)), work))
    }
  })
}

async function answerOnce(request: FastifyRequest, reply: FastifyReply, ask: () => ReturnType<Once>) {
  try {
    const { answer, isReplay } = await ask()
    if (isReplay) reply.header('idempotency-replayed', 'true')
    reply.code(answer.status).headers(answer.headers).type('application/json; charset=utf-8')
    return answer.body
  } catch (error) {
    // What the handler said of an answer that is not given after all.
    for (const name of kept) reply.removeHeader(name)
    throw error
  }
}

function keyedRequest(request: FastifyRequest, route: string, header: string): KeyedRequest {
  const { caller, params, query, body } = request
  // Who is not signed in is known by their network alone. Without it whoever guesses a key could try passwords on it:
  // answers that are kept come before all throttling.
  const sender = caller?.public_id ?? networkOf(addressOf(request))
  return { key: readKey(header), scope: [route, sender], content: JSON.stringify([params, query, body]) }
}

function answerOf(reply: FastifyReply, payload: unknown): Answer {
  // It took too long, and 503 has gone out meanwhile. It was done all the same, and that is what is stored.
  if (reply.sent && reply.statusCode === statusOf.unavailable) reply.code(200)
  const given = kept.map((name) => [name, reply.getHeader(name)] as const).filter(([, value]) => value !== undefined)
  return {
    status: reply.statusCode,
    headers: Object.fromEntries(given) as Record<string, string>,
    body: reply.serialize(payload) as string,
  }
}

/** A string of a structured field (RFC 9651 §3.3.3), as the draft has it, or the same without quotes, as most send it. */
const quoted = /^"((?:[\x20\x21\x23-\x5B\x5D-\x7E]|\\["\\]){1,255})"$/
const bare = /^[\x21\x23-\x2B\x2D-\x3A\x3C-\x5B\x5D-\x7E]{1,255}$/

function readKey(header: string): string {
  const key = bare.test(header) ? header : quoted.exec(header)?.[1]
  if (key === undefined)
    throw new ValidationError([
      { field: 'Idempotency-Key', message: 'must be one text of 1 to 255 visible characters, such as a UUID' },
    ])
  return key.replaceAll(/\\(["\\])/g, '$1')
}
