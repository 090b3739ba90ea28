import type { Logger } from 'pino'
import type { Audit } from '../core/audit.ts'
import type { Database } from '../db/database.ts'
import type { AuditRepository } from '../repositories/audit.repository.ts'

export interface AuditDependencies {
  events: AuditRepository
  afterCommit: Database['afterCommit']
  /** How many days an event is kept. */
  retention: number
  log: Logger
}

/**
 * Makes what records security events: each as a row, in the transaction of the change it tells of, and as one
 * structured line marked `channel: "audit"`, whatever the log level.
 */
export function createAudit({ events, afterCommit, retention, log }: AuditDependencies): Audit {
  const channel = log.child({ channel: 'audit' }, { level: 'info' })
  return async (event, client, details = {}, lineOnly = false) => {
    // Where no transaction is open the line comes first: it tells of what happened even if the row cannot be added.
    afterCommit(() => channel.info({ event, ...details, ...client }, event))
    if (lineOnly) return
    const { user = null, session = null, reason = null, sessions = null } = details
    await events.add(
      { event, user_public_id: user, session_public_id: session, reason, sessions, ...client },
      retention,
    )
  }
}
