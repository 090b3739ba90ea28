import type { Logger } from 'pino'

/** What a security log is asked about. */
type AuditEvent =
  | 'account.registered'
  | 'account.deactivated'
  | 'login.succeeded'
  | 'login.failed'
  | 'attempt.throttled'
  | 'password.changed'
  | 'password.refused'
  | 'session.refresh_refused'
  | 'session.refresh_reuse'
  | 'session.revoked'

/** Public ids, reasons, and where from: no credential, no e-mail. */
export type Audit = (event: AuditEvent, details: Record<string, string | number | boolean | null | undefined>) => void

/** Writes each security event as one structured line, marked `channel: "audit"`, whatever the log level. */
export function createAudit(log: Logger): Audit {
  const channel = log.child({ channel: 'audit' }, { level: 'info' })
  return (event, details) => channel.info({ event, ...details }, event)
}
