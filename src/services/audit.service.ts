import type { Logger } from 'pino'
import type { Audit, SecurityEvent } from '../core/audit.ts'
import { networkOf } from '../core/http/client.ts'
import type { Fingerprint } from '../core/security/fingerprints.ts'
import type { Database } from '../db/database.ts'
import type { AuditRepository } from '../repositories/audit.repository.ts'
import type { ThrottleRepository } from '../repositories/throttle.repository.ts'

/** What anyone can cause as often as they like, since nothing comes of it. */
const refusals = new Set<SecurityEvent>([
  'attempt.throttled',
  'authorization.refused',
  'login.failed',
  'password.refused',
  'session.refresh_refused',
])

/** Refusals of one kind that become rows, from one address; the log has the others. The table cannot be emptied by hand. */
const refusalRows = { quota: 1000, window: 60 * 60 }

export interface AuditDependencies {
  events: AuditRepository
  throttles: ThrottleRepository
  fingerprint: Fingerprint
  afterCommit: Database['afterCommit']
  /** How many days an event is kept. */
  retention: number
  log: Logger
}

/**
 * Makes what records security events: each as a row, in the transaction of the change it tells of, and as one
 * structured line marked `channel: "audit"`, whatever the log level.
 */
export function createAudit(needs: AuditDependencies): Audit {
  const { events, throttles, fingerprint, afterCommit, retention, log } = needs
  const channel = log.child({ channel: 'audit' }, { level: 'info' })
  return async (event, client, details = {}) => {
    // Where no transaction is open the line comes first: it tells of what happened even if the row cannot be added.
    afterCommit(() => channel.info({ event, ...details, ...client }, event))
    const key = () => fingerprint('audit', event, networkOf(client.ip))
    if (refusals.has(event) && !(await throttles.take(key(), refusalRows))) return
    const { user = null, session = null, reason = null, sessions = null } = details
    await events.add(
      { event, user_public_id: user, session_public_id: session, reason, sessions, ...client },
      retention,
    )
  }
}
