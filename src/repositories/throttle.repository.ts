import { sql } from 'kysely'
import type { Database } from '../db/database.ts'

/** Seconds. */
export interface ThrottlePolicy {
  /** Attempts that are made without a wait. */
  free: number
  /** The wait after those; each further attempt doubles it. */
  wait: number
  longestWait: number
}

export type ThrottleRepository = ReturnType<typeof createThrottleRepository>

/** Counts of attempts, in the database, so that all servers count together. */
export function createThrottleRepository({ query, clock }: Database) {
  return {
    /**
     * Counts an attempt before it is made, in one statement, so that of a hundred at once exactly the
     * free ones pass, whichever process they reach.
     * @returns false when it must wait
     */
    async admit(key: string, { free, wait, longestWait }: ThrottlePolicy): Promise<boolean> {
      const doublings = Math.ceil(Math.log2(longestWait / wait))
      const admitted = await query()
        .insertInto('throttles')
        .values({ key, blocked_until: clock(free > 1 ? 0 : wait) })
        .onConflict((conflict) =>
          conflict
            .column('key')
            .doUpdateSet(({ case: when, eb, ref }) => {
              const past = eb('throttles.attempts', '-', free - 1)
              const seconds = when()
                .when(past, '<', 0)
                .then(0)
                .when(past, '>=', doublings)
                .then(longestWait)
                .else(sql<number>`cast(${wait} as integer) << (${past})`)
                .end()
              return {
                attempts: eb(ref('throttles.attempts'), '+', 1),
                blocked_until: clock(seconds),
                updated_at: clock(),
              }
            })
            .where('throttles.blocked_until', '<=', clock()),
        )
        .returning('key')
        .executeTakeFirst()
      return admitted !== undefined
    },

    /** Until when a key is blocked. */
    async blockedUntil(key: string): Promise<string | undefined> {
      const throttle = await query()
        .selectFrom('throttles')
        .where('key', '=', key)
        .select('blocked_until')
        .executeTakeFirst()
      return throttle?.blocked_until
    },

    /** Begins the count anew. */
    forget: (key: string) => query().deleteFrom('throttles').where('key', '=', key).execute(),

    /** Deletes counts that nobody touched for `days`, at most `limit`. Gives how many. */
    async purge(days: number, limit: number): Promise<number> {
      const old = query()
        .selectFrom('throttles')
        .where('updated_at', '<', clock(-days * 24 * 60 * 60))
        .select('id')
        .limit(limit)
      const { numDeletedRows } = await query().deleteFrom('throttles').where('id', 'in', old).executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}
