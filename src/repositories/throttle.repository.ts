import { sql } from 'kysely'
import type { Database } from '../db/database.ts'

/** For guesses at one thing: some are free, then each must wait longer. Seconds. */
export interface Backoff {
  /** Attempts that are made without a wait. */
  free: number
  /** The wait after those; each further attempt doubles it. */
  wait: number
  longestWait: number
}

/** For a number of attempts in a time. */
export interface Quota {
  quota: number
  /** Seconds, from the first attempt. */
  window: number
}

export type ThrottleRepository = ReturnType<typeof createThrottleRepository>

/**
 * Counts of attempts, in the database, so that all servers count together. An attempt is counted before it is
 * made, in one statement: of a hundred at once exactly the allowed ones pass, whichever process they
 * reach.
 */
export function createThrottleRepository({ query, clock }: Database) {
  const uncount = (key: string) =>
    query()
      .updateTable('throttles')
      .set(({ eb }) => ({ attempts: eb('attempts', '-', 1) }))
      .where('key', '=', key)
      .where('attempts', '>', 0)

  return {
    /** Counts an attempt that makes the next one wait. Gives false when it comes too early itself. */
    async admit(key: string, { free, wait, longestWait }: Backoff): Promise<boolean> {
      const doublings = Math.ceil(Math.log2(longestWait / wait))
      const admitted = await query()
        .insertInto('throttles')
        .values({ key, until: clock(free > 1 ? 0 : wait) })
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
                until: clock(seconds),
                updated_at: clock(),
              }
            })
            // A free one needs no wait; asking the clock as well would refuse it for a tick between two servers.
            .where(({ or, eb }) => or([eb('throttles.attempts', '<', free), eb('throttles.until', '<=', clock())])),
        )
        .returning('key')
        .executeTakeFirst()
      return admitted !== undefined
    },

    /** Counts an attempt of a quota. Gives false when it is used up. */
    async take(key: string, { quota, window }: Quota): Promise<boolean> {
      const taken = await query()
        .insertInto('throttles')
        .values({ key, until: clock(window) })
        .onConflict((conflict) =>
          conflict
            .column('key')
            .doUpdateSet(({ case: when, eb, ref }) => {
              const over = eb('throttles.until', '<=', clock())
              return {
                attempts: when()
                  .when(over)
                  .then(1)
                  .else(eb(ref('throttles.attempts'), '+', 1))
                  .end(),
                until: when().when(over).then(clock(window)).else(ref('throttles.until')).end(),
                updated_at: clock(),
              }
            })
            .where(({ or, eb }) => or([eb('throttles.until', '<=', clock()), eb('throttles.attempts', '<', quota)])),
        )
        .returning('key')
        .executeTakeFirst()
      return taken !== undefined
    },

    /** Whether a quota is used up. */
    async isUsedUp(key: string, { quota }: Quota): Promise<boolean> {
      const found = await query()
        .selectFrom('throttles')
        .where('key', '=', key)
        .where('attempts', '>=', quota)
        .where('until', '>', clock())
        .select('key')
        .executeTakeFirst()
      return found !== undefined
    },

    /** Until when attempts under a key come too early. */
    async until(key: string): Promise<string | undefined> {
      const found = await query().selectFrom('throttles').where('key', '=', key).select('until').executeTakeFirst()
      return found?.until
    },

    /** Makes a guess unmade: it does not count, and the next need not wait for it. */
    undo: (key: string) => uncount(key).set({ until: clock() }).execute(),

    /** Gives an attempt of a quota back. */
    giveBack: (key: string) => uncount(key).execute(),

    /** Begins the count anew. */
    forget: (key: string) => query().deleteFrom('throttles').where('key', '=', key).execute(),

    /** Deletes counts that nobody touched for `days`, at most `limit`. Gives how many. */
    async purge(days: number, limit: number): Promise<number> {
      const old = query()
        .selectFrom('throttles')
        .where('updated_at', '<', clock(-days * 24 * 60 * 60))
        .select('key')
        .limit(limit)
      const { numDeletedRows } = await query().deleteFrom('throttles').where('key', 'in', old).executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}
