import { sql, type ExpressionBuilder } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Given } from '../db/statements.ts'
import type { Tables } from '../models/index.ts'

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

/**
 * Seconds beyond the longest wait. An `until` that is further away was set before the clock was put back, and holds
 * nobody up: it would be for as long as the clock was wrong. As long as a statement may take, whose time is that of its
 * beginning: what another has set meanwhile must not be taken for such a one.
 */
const clockMargin = 600

interface Counted {
  key: string
}

export type ThrottleRepository = ReturnType<typeof createThrottleRepository>

/**
 * Counts of attempts, in the database, so that all servers count together. An attempt is counted before it is
 * made, in one statement: of a hundred at once exactly the allowed ones pass, whichever process they
 * reach.
 */
export function createThrottleRepository({ query, prepare, clock }: Database) {
  /** Whether the wait is over. */
  const isOver = ({ or, eb }: ExpressionBuilder<Tables, 'throttles'>, longestWait: number) =>
    or([eb('throttles.until', '<=', clock()), eb('throttles.until', '>', clock(longestWait + clockMargin))])

  const uncount = ({ key }: Given<Counted>) =>
    query()
      .updateTable('throttles')
      .set(({ eb }) => ({ attempts: eb('attempts', '-', 1) }))
      .where('key', '=', key)
      .where('attempts', '>', 0)

  const admit = prepare(({ key }: Given<Counted>, { free, wait, longestWait }: Backoff) => {
    const doublings = Math.ceil(Math.log2(longestWait / wait))
    return query()
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
          .where((row) => row.or([row.eb('throttles.attempts', '<', free), isOver(row, longestWait)])),
      )
      .returning('key')
  })

  const take = prepare(({ key }: Given<Counted>, { quota, window }: Quota) =>
    query()
      .insertInto('throttles')
      .values({ key, until: clock(window) })
      .onConflict((conflict) =>
        conflict
          .column('key')
          .doUpdateSet((row) => {
            const { case: when, eb, ref } = row
            const over = isOver(row, window)
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
          .where((row) => row.or([isOver(row, window), row.eb('throttles.attempts', '<', quota)])),
      )
      .returning('key'),
  )

  const find = prepare(({ key }: Given<Counted>) =>
    query()
      .selectFrom('throttles')
      .where('key', '=', key)
      .select(['until', sql<string>`${clock()}`.as('now')]),
  )

  const usedUp = prepare(({ key }: Given<Counted>, { quota, window }: Quota) =>
    query()
      .selectFrom('throttles')
      .where('key', '=', key)
      .where('attempts', '>=', quota)
      .where((row) => row.not(isOver(row, window)))
      .select('key'),
  )

  const undo = prepare((given: Given<Counted>) => uncount(given).set({ until: clock() }))
  const giveBack = prepare(uncount)
  const forget = prepare(({ key }: Given<Counted>) => query().deleteFrom('throttles').where('key', '=', key))

  return {
    /** Counts an attempt that makes the next one wait. Gives false when it comes too early itself. */
    admit: async (key: string, backoff: Backoff): Promise<boolean> =>
      (await admit.first({ key }, backoff)) !== undefined,

    /** Counts an attempt of a quota. Gives false when it is used up. */
    take: async (key: string, quota: Quota): Promise<boolean> => (await take.first({ key }, quota)) !== undefined,

    /** Whether a quota is used up. */
    isUsedUp: async (key: string, quota: Quota): Promise<boolean> => (await usedUp.first({ key }, quota)) !== undefined,

    /** Seconds for which attempts under a key still come too early, by the database's clock: this one may differ. */
    async wait(key: string): Promise<number | undefined> {
      const found = await find.first({ key })
      return found && (Date.parse(found.until) - Date.parse(found.now)) / 1000
    },

    /** Makes a guess unmade: it does not count, and the next need not wait for it. */
    undo: (key: string) => undo.count({ key }),

    /** Gives an attempt of a quota back. */
    giveBack: (key: string) => giveBack.count({ key }),

    /** Begins the count anew. */
    forget: (key: string) => forget.count({ key }),

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
