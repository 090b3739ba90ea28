import type { FastifyInstance, RouteOptions } from 'fastify'
import type { ErrorCode } from '../errors.ts'
import { isGuard, type Guard } from './guards.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Every route, in the order of their making. */
    collectedRoutes: readonly CollectedRoute[]
  }
  interface FastifySchema {
    operationId?: string
    summary?: string
    description?: string
    tags?: readonly string[]
    /** The errors that this operation alone can end in; the usual ones follow from its other parts. */
    errors?: readonly ErrorCode[]
    /** Replies carry the tag of a resource, and `If-Match` and `If-None-Match` count: `core/http/conditional.ts`. */
    versioned?: boolean
    response?: unknown
    /** What a success is sent as, if not as one JSON value; the schema is then that of a line. */
    media?: string
  }
}

/** A route as it was registered. The document tells of those with a schema. */
export type CollectedRoute = Pick<RouteOptions, 'method' | 'url' | 'schema' | 'onRequest' | 'config'>

/** Collects the routes, as they are registered from now on. */
export function collectRoutes(app: FastifyInstance): void {
  const routes: CollectedRoute[] = []
  app.decorate('collectedRoutes', routes)
  app.addHook('onRoute', (route) => {
    // Fastify adds a HEAD to each GET, and CORS a route for preflights.
    if (route.method !== 'HEAD' && route.url !== '*') routes.push(route)
  })
}

/** The guard among a route's hooks. */
export const guardOf = (onRequest: RouteOptions['onRequest']): Guard | undefined => [onRequest].flat().find(isGuard)
