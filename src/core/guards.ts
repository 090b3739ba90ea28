import type { FastifyRequest } from 'fastify'
import type { Actor } from './actor.ts'
import { ForbiddenError, UnauthorizedError } from './errors.ts'
import { can as roleCan, type Permission } from './security/permissions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Resolves an access token to its owner. @throws UnauthorizedError */
    authenticate(accessToken: string): Promise<Actor>
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

/** For everyone. No token is read: a client whose token has died must still be able to sign in. */
export const open: Guard = async () => {}

/** For everyone, but a token that is sent must be valid. */
export const optional: Guard = async (request) => {
  if (request.headers.authorization !== undefined) await authenticated(request)
}

/** For those who are signed in. */
export const authenticated: Guard = async (request) => {
  const [scheme = '', token = ''] = (request.headers.authorization ?? '').split(' ', 2)
  if (scheme.toLowerCase() !== 'bearer')
    throw new UnauthorizedError('unauthorized', 'Sign in, and send the access token as a Bearer token')
  request.actor = await request.server.authenticate(token)
}

/** For those whose e-mail is verified. */
export const verified: Guard = async (request) => {
  await authenticated(request)
  if (!request.actor.is_verified) throw new ForbiddenError('Verify your e-mail address first')
}

/** For those whose role carries a permission. */
export const can = (permission: Permission): Guard => {
  const guard: Guard = async (request) => {
    await authenticated(request)
    if (!roleCan(request.actor.role, permission)) throw new ForbiddenError()
  }
  return guard
}
