import { UnavailableError } from '../core/errors.ts'

/** Those who wait for a connection: not more than a limit, and how long the first of them has waited. */
export interface Line {
  /**
   * Waits for a turn.
   * @throws UnavailableError at once when the line is full: its end would be reached too late for anyone
   */
  wait<T>(turn: () => Promise<T>): Promise<T>
  /** Milliseconds that whoever is next has waited; 0 when nobody waits. */
  delay(): number
}

/** @param limit as many as may wait */
export function createLine(limit: number): Line {
  // A set keeps the order of their coming, and whoever is done leaves it wherever they stand.
  const waiting = new Set<{ since: number }>()
  return {
    async wait(turn) {
      if (waiting.size >= limit) throw new UnavailableError('The server is busy', { retryAfter: 2 })
      const place = { since: performance.now() }
      waiting.add(place)
      try {
        return await turn()
      } finally {
        waiting.delete(place)
      }
    },
    delay() {
      for (const { since } of waiting) return performance.now() - since
      return 0
    },
  }
}
