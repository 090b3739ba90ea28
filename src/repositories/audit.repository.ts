import type { Insertable } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Given } from '../db/statements.ts'
import type { Tables } from '../models/index.ts'

type NewEvent = Omit<Insertable<Tables['audit_events']>, 'id' | 'created_at' | 'kept_until'>

export type AuditRepository = ReturnType<typeof createAuditRepository>

/** The security events. They are added, and deleted when their time is over; the database refuses the rest. */
export function createAuditRepository({ query, prepare, clock }: Database) {
  const add = prepare((event: Given<NewEvent>, days: number) =>
    query()
      .insertInto('audit_events')
      .values({ ...event, kept_until: clock(days * 24 * 60 * 60) }),
  )

  return {
    /** Adds an event, to be kept for `days`. */
    add: (event: NewEvent, days: number) => add.count(event, days),

    /** Deletes events that need not be kept any longer, at most `limit`. Gives how many. */
    async purge(limit: number): Promise<number> {
      const old = query().selectFrom('audit_events').where('kept_until', '<', clock()).select('id').limit(limit)
      const { numDeletedRows } = await query().deleteFrom('audit_events').where('id', 'in', old).executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}
