import { sql } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Given } from '../db/statements.ts'

interface Claim {
  key: string
  request_hash: string
  /** How long the answer is kept, in seconds. */
  seconds: number
}

export type IdempotencyKeyRepository = ReturnType<typeof createIdempotencyKeyRepository>

/** The changes that were made under a key, and the answers to them. */
export function createIdempotencyKeyRepository({ query, prepare, clock, engine }: Database) {
  const find = prepare(({ key }: Given<{ key: string }>) =>
    query()
      .selectFrom('idempotency_keys')
      .where('key', '=', key)
      .where('expires_at', '>', clock())
      .select(['request_hash', 'answer']),
  )

  const claim = prepare(({ key, request_hash, seconds }: Given<Claim>) =>
    query()
      .insertInto('idempotency_keys')
      .columns(['key', 'request_hash', 'expires_at'])
      .expression(
        query()
          .selectNoFrom([
            sql<string>`${key}`.as('key'),
            sql<string>`${request_hash}`.as('request_hash'),
            sql<string>`${clock(seconds)}`.as('expires_at'),
          ])
          .where(engine.tryLock(key)),
      )
      .onConflict((conflict) =>
        conflict
          .column('key')
          .doUpdateSet({ request_hash, answer: null, created_at: clock(), expires_at: clock(seconds) })
          .where('idempotency_keys.expires_at', '<=', clock()),
      )
      .returning('key'),
  )

  const complete = prepare(({ key, answer }: Given<{ key: string; answer: string }>) =>
    query().updateTable('idempotency_keys').set({ answer }).where('key', '=', key),
  )

  const release = prepare(({ key }: Given<{ key: string }>) =>
    query().deleteFrom('idempotency_keys').where('key', '=', key),
  )

  return {
    /** What was made under a key that has not expired; undefined when nothing was, as far as is committed. */
    find: (key: string) => find.first({ key }),

    /**
     * Takes a key for the transaction that is open. Gives false, without waiting, when it was taken before, or is being
     * taken by another transaction.
     */
    claim: async (claimed: Claim): Promise<boolean> => (await claim.first(claimed)) !== undefined,

    /** Keeps the answer under a key that was claimed. */
    complete: (key: string, answer: string) => complete.count({ key, answer }),

    /** Gives a key that was claimed back. */
    release: (key: string) => release.count({ key }),

    /** Deletes answers that have expired, at most `limit`. Gives how many. */
    async purge(limit: number): Promise<number> {
      const expired = query()
        .selectFrom('idempotency_keys')
        .where('expires_at', '<=', clock())
        .select('key')
        .limit(limit)
      const { numDeletedRows } = await query()
        .deleteFrom('idempotency_keys')
        .where('key', 'in', expired)
        .executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}
