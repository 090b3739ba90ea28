import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Client } from './actor.ts'

/** What the column holds; a header may be longer. */
const userAgentLength = 400

/** The client's address. A proxy that is trusted may still pass on what is no address; then it is the proxy's own. */
export const addressOf = ({ ip, socket }: FastifyRequest): string => (isIP(ip) ? ip : (socket.remoteAddress ?? ''))

/** Where a request came from, for the session list and the audit log. */
export const clientOf = (request: FastifyRequest): Client => ({
  request_id: request.id,
  ip: addressOf(request),
  user_agent: request.headers['user-agent']?.slice(0, userAgentLength) ?? null,
})
