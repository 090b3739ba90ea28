import { isIP, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Client } from '../actor.ts'

/** What the column holds; a header may be longer. */
const userAgentLength = 400

/** The client's address. A proxy that is trusted may still pass on what is no address; then it is the proxy's own. */
export function addressOf({ ip, socket }: FastifyRequest): string {
  // No address at all, once the connection is gone.
  const address = withoutZone(ip ?? '')
  return isIP(address) ? address : withoutZone(socket.remoteAddress ?? '')
}

/** An IPv6 zone is a name on the machine that wrote it, of any length. */
const withoutZone = (ip: string) => ip.split('%', 1)[0]!

/**
 * What counts as one client: an IPv4 address, or the /64 network of an IPv6 one, since whoever has one
 * of its addresses has them all.
 */
export function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip
  const groups = groupsOf(ip)
  const [high = 0, low = 0] = groups.slice(6)
  const isMapped = groups.slice(0, 6).join(':') === '0:0:0:0:0:65535'
  if (isMapped) return [high >> 8, high & 255, low >> 8, low & 255].join('.')
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The eight numbers of an IPv6 address. The URL parser writes an IPv4 address at its end as two of them. */
function groupsOf(ip: string): number[] {
  const [head = '', tail] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::')
  const [first, last] = [head, tail ?? ''].map((part) => part.split(':').filter(Boolean)) as [string[], string[]]
  const omitted = Array<string>(8 - first.length - last.length).fill('0')
  return [...first, ...omitted, ...last].map((group) => Number.parseInt(group, 16))
}

/** Where a request came from, for the session list and the audit log. */
export const clientOf = (request: FastifyRequest): Client => ({
  request_id: request.id,
  ip: addressOf(request),
  user_agent: request.headers['user-agent']?.slice(0, userAgentLength) ?? null,
})
