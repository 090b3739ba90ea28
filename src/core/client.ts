import { isIP, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Client } from './actor.ts'

/** What the column holds; a header may be longer. */
const userAgentLength = 400

/** The client's address. A proxy that is trusted may still pass on what is no address; then it is the proxy's own. */
export const addressOf = ({ ip, socket }: FastifyRequest): string => (isIP(ip) ? ip : (socket.remoteAddress ?? ''))

/**
 * What counts as one client: an IPv4 address, or the /64 network of an IPv6 one, since whoever has one
 * of its addresses has them all.
 */
export function networkOf(ip: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)
  if (mapped) return mapped[1]!
  if (!isIPv6(ip)) return ip
  const [head = '', tail = ''] = ip.split('%', 1)[0]!.split('::')
  const groups = head.split(':').filter(Boolean)
  const last = tail.split(':').filter(Boolean)
  // An IPv4 address at the end stands for two groups.
  const written = groups.length + last.length + (ip.includes('.') ? 1 : 0)
  const all = ip.includes('::') ? [...groups, ...Array<string>(8 - written).fill('0'), ...last] : groups
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

/** Where a request came from, for the session list and the audit log. */
export const clientOf = (request: FastifyRequest): Client => ({
  request_id: request.id,
  ip: addressOf(request),
  user_agent: request.headers['user-agent']?.slice(0, userAgentLength) ?? null,
})
