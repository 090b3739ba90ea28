import type { SessionRepository } from '../repositories/session.repository.ts'
import type { ThrottleRepository } from '../repositories/throttle.repository.ts'

/** Days that an ended session is kept, for those who look into what happened. */
const sessionDays = 30
/** Days after which a failed attempt is forgotten. */
const throttleDays = 1
/** Rows deleted by one statement: few enough not to hold others up. */
const batch = 1000

export interface PurgeDependencies {
  sessions: SessionRepository
  throttles: ThrottleRepository
}

/** Makes a function that deletes what is no longer needed. Several servers may call it at the same time. */
export function createPurge({ sessions, throttles }: PurgeDependencies) {
  const all = async (purge: (days: number, limit: number) => Promise<number>, days: number) => {
    let total = 0
    let deleted: number
    do {
      deleted = await purge(days, batch)
      total += deleted
    } while (deleted === batch)
    return total
  }
  return async () => ({
    sessions: await all(sessions.purge, sessionDays),
    throttles: await all(throttles.purge, throttleDays),
  })
}
