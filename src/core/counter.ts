/** Seconds in which a client's requests are counted together, from its first one on. */
export const rateWindow = 60

/** Clients that are remembered: an attacker with a large network would fill a memory without a bound. */
const remembered = 10_000

/** A client's requests in the present window, and the milliseconds that are left of it. */
export interface Count {
  requests: number
  left: number
}

/** Counts a request to a route, for several processes. Gives undefined while it cannot. */
export type SharedCounter = (route: string, client: string) => Promise<Count | undefined>

/** Counts the requests of each client, in this process's memory. The one unheard of for longest makes room. */
export function createCounter(): (client: string) => Count {
  const clients = new Map<string, { requests: number; until: number }>()

  return (client) => {
    const now = performance.now()
    const known = clients.get(client)
    const entry = known && known.until > now ? known : { requests: 0, until: now + rateWindow * 1000 }
    entry.requests++
    // A map keeps its order: now it is behind all others.
    clients.delete(client)
    clients.set(client, entry)
    const [oldest] = clients.keys()
    if (clients.size > remembered && oldest !== undefined) clients.delete(oldest)
    return { requests: entry.requests, left: entry.until - now }
  }
}
