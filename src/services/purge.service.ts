import type { Engine } from '../db/engine.ts'
import type { AuditRepository } from '../repositories/audit.repository.ts'
import type { IdempotencyKeyRepository } from '../repositories/idempotency-key.repository.ts'
import type { SessionRepository } from '../repositories/session.repository.ts'
import type { ThrottleRepository } from '../repositories/throttle.repository.ts'

/** Days that an ended session is kept, for those who look into what happened. */
const sessionDays = 30
/** Days after which a failed attempt is forgotten. */
const throttleDays = 1
/** Rows deleted by one statement: few enough not to hold others up. */
const batch = 1000
/** Of several servers one runs the job, at most once in this time. */
const turn = 'job: purge'
const oncePerHour = { quota: 1, window: 60 * 60 }

export interface PurgeDependencies {
  sessions: SessionRepository
  throttles: ThrottleRepository
  keys: IdempotencyKeyRepository
  events: AuditRepository
  /** Lets the database look after itself. */
  tidy: Engine['tidy']
}

/** Deletes what is no longer needed: sessions that ended long ago, forgotten attempts, answers and audit events past their time. */
export function createPurgeService({ sessions, throttles, keys, events, tidy }: PurgeDependencies) {
  const inBatches = async (purge: (limit: number) => Promise<number>) => {
    let total = 0
    let deleted: number
    do {
      deleted = await purge(batch)
      total += deleted
    } while (deleted === batch)
    return total
  }

  /** Gives how many rows went. Several processes may do so at the same time. */
  const run = async () => ({
    sessions: await inBatches((limit) => sessions.purge(sessionDays, limit)),
    throttles: await inBatches((limit) => throttles.purge(throttleDays, limit)),
    idempotency_keys: await inBatches(keys.purge),
    audit_events: await inBatches(events.purge),
  })

  return {
    run,
    /** For a timer in every server: whoever comes first in the hour does it. Gives undefined when nothing was deleted. */
    async runIfDue() {
      if (!(await throttles.take(turn, oncePerHour))) return undefined
      try {
        const deleted = await run()
        await tidy()
        return Object.values(deleted).some(Boolean) ? deleted : undefined
      } catch (error) {
        // Whoever looks next may try. Where not even that can be noted, the hour runs out by itself.
        await throttles.giveBack(turn).catch(() => {})
        throw error
      }
    },
  }
}
