import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Actor, Identity } from './actor.ts'
import { clientOf } from './client.ts'
import { ForbiddenError, UnauthorizedError } from './errors.ts'
import { can as roleCan, type Permission } from './security/permissions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Resolves an access token to its owner. @throws UnauthorizedError */
    authenticate(accessToken: string): Promise<Identity>
  }
  interface FastifyRequest {
    /** Who is asking. Set by every guard but `open`. */
    actor: Actor
  }
}

/**
 * Guards go into a route's `onRequest`: they run before the body is read, so a stranger's body costs
 * nothing and is told nothing. Every route declares one; the application does not start otherwise.
 */
export type Guard = (request: FastifyRequest) => Promise<void>

const guards = new WeakSet<object>()

function guard(check: Guard): Guard {
  guards.add(check)
  return check
}

/** Whether a hook is one of these. */
export const isGuard = (hook: unknown): hook is Guard => typeof hook === 'function' && guards.has(hook)

/** Makes the application refuse to start with a route that says nothing of who may ask it (ASVS 8.2.1). */
export function requireGuards(app: FastifyInstance): void {
  app.decorateRequest('actor')
  app.addHook('onRoute', ({ method, url, onRequest }) => {
    // The preflight route of CORS.
    if (url === '*') return
    if (![onRequest].flat().some(isGuard)) throw new Error(`${String(method)} ${url} declares no guard`)
  })
}

/** For everyone. No token is read: a client whose token has died must still be able to sign in. */
export const open = guard(async () => {})

/** For everyone, but a token that is sent must be valid. */
export const optional = guard(async (request) => {
  if (request.headers.authorization !== undefined) await authenticated(request)
})

/** For those who are signed in. */
export const authenticated = guard(async (request) => {
  // RFC 9110 §11.4: any number of spaces, and then one token: whatever follows it makes the whole a bad one.
  const token = /^Bearer(?: +(.*))?$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined)
    throw new UnauthorizedError('unauthorized', 'Sign in, and send the access token as a Bearer token')
  const identity = await request.server.authenticate(token)
  request.actor = { ...identity, client: clientOf(request) }
})

/** For those whose e-mail is verified. */
export const verified = guard(async (request) => {
  await authenticated(request)
  if (!request.actor.is_verified) throw new ForbiddenError('Verify your e-mail address first')
})

/** For those whose role carries a permission. */
export const can = (permission: Permission): Guard =>
  guard(async (request) => {
    await authenticated(request)
    if (!roleCan(request.actor.role, permission)) throw new ForbiddenError()
  })
