import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Actor, Identity } from '../actor.ts'
import { ForbiddenError, UnauthorizedError, type ErrorCode } from '../errors.ts'
import { can as roleCan, type Permission } from '../security/permissions.ts'
import { clientOf } from './client.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Resolves an access token to its owner. @throws UnauthorizedError */
    authenticate(accessToken: string): Promise<Identity>
  }
  interface FastifyRequest {
    /** Who is asking. @throws Error on a route whose guard does not say that somebody must */
    actor: Actor
    /** Who is asking, where nobody need say. */
    caller: Actor | undefined
  }
}

/**
 * Guards go into a route's `onRequest`: they run before the body is read, so a stranger's body costs
 * nothing and is told nothing. Every route declares one; the application does not start otherwise.
 */
export type Guard = (request: FastifyRequest) => Promise<void>

/** Every guard: what it is called, and the errors it can end in. The list of routes and the API document take them from here. */
const guards = new WeakMap<object, { name: string; errors: readonly ErrorCode[] }>()

function guard(name: string, errors: readonly ErrorCode[], check: Guard): Guard {
  guards.set(check, { name, errors })
  return check
}

export const guardErrors = (check: Guard): readonly ErrorCode[] => guards.get(check)?.errors ?? []
export const guardName = (check: Guard): string => guards.get(check)?.name ?? ''

/** Whether a hook is one of these. */
export const isGuard = (hook: unknown): hook is Guard => typeof hook === 'function' && guards.has(hook)

/** Makes the application refuse to start with a route that says nothing of who may ask it (ASVS 8.2.1). */
export function requireGuards(app: FastifyInstance): void {
  app.decorateRequest('caller')
  app.decorateRequest('actor', {
    getter() {
      if (this.caller) return this.caller
      throw new Error(`${this.method} ${this.routeOptions.url}: the guard lets strangers in, so there may be no actor`)
    },
  })
  app.addHook('onRoute', ({ method, url, onRequest }) => {
    // The preflight route of CORS.
    if (url === '*') return
    if (![onRequest].flat().some(isGuard)) throw new Error(`${String(method)} ${url} declares no guard`)
  })
}

/** For everyone. No token is read: a client whose token has died must still be able to sign in. */
export const open = guard('open', [], async () => {})

/** For everyone, but a token that is sent must be valid. */
export const optional = guard('optional', ['unauthorized'], async (request) => {
  if (request.headers.authorization !== undefined) await authenticated(request)
})

/** For those who are signed in. */
export const authenticated = guard('authenticated', ['unauthorized'], async (request) => {
  // RFC 9110 §11.4: one space or more, then one token; with something behind it the whole is a bad one.
  const token = /^Bearer(?: +(.*))?$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined)
    throw new UnauthorizedError('unauthorized', 'Sign in, and send the access token as a Bearer token')
  const identity = await request.server.authenticate(token)
  request.caller = { ...identity, client: clientOf(request) }
})

/** For those whose e-mail is verified. */
export const verified = guard('verified', ['unauthorized', 'forbidden'], async (request) => {
  await authenticated(request)
  if (!request.actor.is_verified) throw new ForbiddenError('Verify your e-mail address first')
})

/** For those whose role carries a permission. */
export const can = (permission: Permission): Guard =>
  guard(permission, ['unauthorized', 'forbidden'], async (request) => {
    await authenticated(request)
    if (!roleCan(request.actor.role, permission)) throw new ForbiddenError()
  })
