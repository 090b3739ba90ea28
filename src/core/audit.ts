import type { FastifyInstance } from 'fastify'
import type { Client } from './actor.ts'
import { clientOf } from './http/client.ts'

/** What a security log is asked about. */
export type SecurityEvent =
  | 'account.activated'
  | 'account.created'
  | 'account.deactivated'
  | 'account.registered'
  | 'account.verified'
  | 'attempt.throttled'
  | 'authorization.refused'
  | 'login.failed'
  | 'login.succeeded'
  | 'password.changed'
  | 'password.refused'
  | 'password.reset'
  | 'role.changed'
  | 'session.refresh_refused'
  | 'session.refresh_reuse'
  | 'session.revoked'

/** Public ids, reasons and numbers: no credential, no e-mail. */
interface SecurityDetails {
  /** The public id of the account. */
  user?: string | undefined
  /** The public id of the session. */
  session?: string | undefined
  reason?: string | undefined
  /** How many sessions it ended. */
  sessions?: number
}

/** Records what happened, as a line and as a row. In a transaction it is recorded if that commits, and only then. */
export type Audit = (event: SecurityEvent, client: Client, details?: SecurityDetails) => Promise<void>

/** Records each request that was refused because of who asked. */
export function auditRefusals(app: FastifyInstance, audit: Audit): void {
  app.addHook('onSend', (request, reply, _payload, done) => {
    if (reply.statusCode !== 403) return done()
    audit('authorization.refused', clientOf(request), {
      user: request.caller?.public_id,
      session: request.caller?.session_id,
    })
      // A refusal that cannot be recorded is still a refusal.
      .catch((error: unknown) => request.log.error({ err: error }, 'audit failed'))
      .finally(done)
  })
}
