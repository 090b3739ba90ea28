import { setTimeout as sleep } from 'node:timers/promises'
import { UnavailableError } from '../core/errors.ts'
import type { Database } from '../db/database.ts'

/** Milliseconds: less than a probe usually waits. */
const patience = 2000

/** What the readiness probe asks, and what tells that there is more to do than can be done. */
export function createHealthService({ ping, engine }: Pick<Database, 'ping' | 'engine'>) {
  /** Probes at the same moment share one question: they are open to everyone, and have no rate limit. */
  let asked: Promise<void> | undefined

  return {
    /** @throws UnavailableError when the database does not answer in time */
    ready: (): Promise<void> =>
      (asked ??= ask().finally(() => {
        asked = undefined
      })),

    /** Milliseconds that whoever is next for a connection has waited. */
    databaseDelay: engine.delay,
  }

  async function ask(): Promise<void> {
    const silent = new AbortController()
    const late = sleep(patience, undefined, { ref: false, signal: silent.signal }).then(() => {
      throw new UnavailableError('The database does not answer')
    })
    try {
      await Promise.race([ping(), late])
    } finally {
      silent.abort()
    }
  }
}
