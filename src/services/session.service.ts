import type { Actor, Identity } from '../core/actor.ts'
import type { Audit } from '../core/audit.ts'
import { NotFoundError, UnauthorizedError, UnavailableError } from '../core/errors.ts'
import type { AccessTokens } from '../core/security/access-tokens.ts'
import type { Database } from '../db/database.ts'
import type { SessionRepository } from '../repositories/session.repository.ts'

/** More live sessions than a person has; the list needs a bound. */
const listed = 100

export interface SessionDependencies {
  sessions: SessionRepository
  accessTokens: AccessTokens
  transaction: Database['transaction']
  audit: Audit
}

/** The sessions of those who are signed in. */
export function createSessionService({ sessions, accessTokens, transaction, audit }: SessionDependencies) {
  return {
    /**
     * Who sent an access token. A revoked session, a deactivated or deleted account and a changed role
     * count from the next request on, since the database is asked each time.
     * @throws UnauthorizedError
     */
    async authenticate(accessToken: string): Promise<Identity> {
      const { sub, sid, gen } = accessTokens.verify(accessToken)
      const found = await sessions.findActor(sid, sub)
      if (!found) throw new UnauthorizedError('invalid_token', 'The access token is not valid')
      const { confirmed_gen, ...identity } = found
      if (gen > confirmed_gen) await sessions.confirm(sid, gen).catch(ignoreUnavailable)
      return identity
    },

    /** The actor's own live sessions, newest first; `current` marks the one of this request. */
    async list(actor: Actor) {
      const rows = await sessions.list(actor.id, listed)
      return rows.map((session) => ({ ...session, current: session.public_id === actor.session_id }))
    },

    /** Ends a session of the actor's own. @throws NotFoundError also for another's: whether it exists is private */
    async revoke(actor: Actor, publicId: string) {
      await transaction(async () => {
        if (!(await sessions.revokeOwn(actor.id, publicId, 'revoked')))
          throw new NotFoundError('There is no such session')
        await audit('session.revoked', actor.client, { user: actor.public_id, session: publicId, reason: 'revoked' })
      })
    },

    /** Ends all of the actor's sessions, this one included. Gives how many there were. */
    revokeAll: (actor: Actor): Promise<number> =>
      transaction(async () => {
        const ended = await sessions.revokeAll(actor.id, 'logout_all')
        if (ended > 0)
          await audit('session.revoked', actor.client, { user: actor.public_id, sessions: ended, reason: 'logout_all' })
        return ended
      }),
  }
}

/** Who can be read can be served, though nothing can be written, as on a full disk; the next request confirms. */
function ignoreUnavailable(error: unknown): void {
  if (!(error instanceof UnavailableError)) throw error
}
