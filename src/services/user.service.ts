import type { Actor } from '../core/actor.ts'
import type { Audit } from '../core/audit.ts'
import { NotFoundError, PreconditionFailedError, UnauthorizedError } from '../core/errors.ts'
import type { Passwords } from '../core/security/passwords.ts'
import { expectedVersion, requireVersion, type Expected } from '../core/versions.ts'
import type { Database } from '../db/database.ts'
import type { SessionRepository } from '../repositories/session.repository.ts'
import type { UserRepository } from '../repositories/user.repository.ts'
import type { PasswordChange, ProfileUpdate } from '../schemas/user.schema.ts'
import type { Throttle } from './throttle.service.ts'

export interface UserDependencies {
  users: UserRepository
  sessions: SessionRepository
  throttle: Throttle
  passwords: Passwords
  transaction: Database['transaction']
  audit: Audit
}

/** What people do with their own account. */
export function createUserService({ users, sessions, throttle, passwords, transaction, audit }: UserDependencies) {
  const notFound = () => new NotFoundError('There is no such account')

  /** @throws NotFoundError when the account was deleted at this moment */
  async function profile(actor: Actor) {
    const found = await users.findProfile(actor.id)
    if (!found) throw notFound()
    return found
  }

  return {
    profile,

    /** Changes the fields given. @throws NotFoundError, PreconditionFailedError */
    async changeProfile(actor: Actor, changes: ProfileUpdate, expected?: Expected) {
      if (Object.keys(changes).length === 0) {
        const found = await profile(actor)
        requireVersion(found, expected)
        return found
      }
      const version = await expectedVersion(expected, () => users.findProfile(actor.id))
      const changed = await users.changeProfile(actor.id, changes, version)
      if (changed) return changed
      await profile(actor)
      throw new PreconditionFailedError()
    },

    /**
     * Changes the password and ends every other session, together.
     * @throws UnauthorizedError when the old password is wrong, TooManyRequestsError when it was so too often; ValidationError when the new one is too weak
     */
    async changePassword(actor: Actor, { old_password, new_password }: PasswordChange) {
      const refused = async () => {
        await audit('password.refused', actor.client, { user: actor.public_id, session: actor.session_id })
        return new UnauthorizedError('invalid_credentials', 'The old password is wrong')
      }
      const user = await users.findPassword(actor.id)
      if (!user) throw notFound()
      // Per session: who guesses with a stolen token does not keep the owner, signed in anew, from a change.
      const account = [actor.public_id, actor.session_id]
      const guess = { kind: 'password' as const, client: actor.client, account, user: actor.public_id }
      await throttle.guess(guess, async () => {
        if (!(await passwords.verify(user.password_hash, old_password))) throw await refused()
      })
      await passwords.check('new_password', new_password, user.email)
      const newHash = await passwords.hash(new_password)
      const changed = await transaction(async () => {
        if (!(await users.changePassword(actor.id, user.password_hash, newHash))) return false
        const ended = await sessions.revokeAll(actor.id, 'password_change', actor.session_id)
        await audit('password.changed', actor.client, { user: actor.public_id, sessions: ended })
        return true
      })
      // It was changed meanwhile.
      if (!changed) throw await refused()
    },

    /** Deactivates the account and ends every session, together. */
    async deactivate(actor: Actor) {
      await transaction(async () => {
        if (!(await users.deactivate(actor.id))) return
        const ended = await sessions.revokeAll(actor.id, 'deactivated')
        await audit('account.deactivated', actor.client, { user: actor.public_id, sessions: ended })
      })
    },
  }
}
