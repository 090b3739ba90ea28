import type { Client } from '../core/actor.ts'
import type { Audit } from '../core/audit.ts'
import { ConflictError, NotFoundError } from '../core/errors.ts'
import { paginate } from '../core/pagination.ts'
import type { Passwords } from '../core/security/passwords.ts'
import type { Database } from '../db/database.ts'
import type { Role } from '../models/enums.ts'
import type { SessionRepository } from '../repositories/session.repository.ts'
import type { UserRepository } from '../repositories/user.repository.ts'
import type { AccountCreate, AccountQuery } from '../schemas/account.schema.ts'

/** More live sessions than a person has; the list needs a bound. */
const listed = 100

export interface AccountDependencies {
  users: UserRepository
  sessions: SessionRepository
  passwords: Passwords
  transaction: Database['transaction']
  audit: Audit
}

/**
 * What operators do with any account, and with its sessions. An account is named by its e-mail or its public
 * id; all of it throws NotFoundError when there is none. What changes nothing is no event, and gives false.
 */
export function createAccountService({ users, sessions, passwords, transaction, audit }: AccountDependencies) {
  async function find(name: string) {
    const account = await users.findAccount(name)
    if (!account) throw new NotFoundError('There is no such account')
    return account
  }

  return {
    /** A page of accounts, newest first, and how many there are. */
    async list({ page, per_page, ...filter }: AccountQuery) {
      const [accounts, total] = await Promise.all([
        users.listAccounts(filter, { page, per_page }),
        users.countAccounts(filter),
      ])
      return { users: accounts, pagination: paginate({ page, per_page }, total) }
    },

    /** An account, and how many sessions of it live. */
    async show(name: string) {
      const { id, ...account } = await find(name)
      return { ...account, live_sessions: await sessions.countLive(id) }
    },

    /** Whether a password would do, before it is given a second time. @throws ValidationError */
    checkPassword: (password: string, email: string): Promise<void> => passwords.check('password', password, email),

    /** Spares questions. The unique index is what decides. @throws ConflictError when a live account has the e-mail */
    async requireFree(email: string): Promise<void> {
      if (await users.findAccount(email)) throw new ConflictError('email', 'This email is already in use')
    },

    /** Gives the public id. @throws ConflictError when the e-mail is in use; ValidationError when the password is too weak */
    async create({ password, ...account }: AccountCreate, client: Client): Promise<string> {
      await passwords.check('password', password, account.email)
      const password_hash = await passwords.hash(password)
      return transaction(async () => {
        const { public_id } = await users.add({ ...account, password_hash })
        await audit('account.created', client, { user: public_id, reason: account.role })
        return public_id
      })
    },

    /** Gives an account another role, from its next request on. */
    setRole: (name: string, role: Role, client: Client): Promise<boolean> =>
      transaction(async () => {
        const { id, public_id } = await find(name)
        if (!(await users.changeRole(id, role))) return false
        await audit('role.changed', client, { user: public_id, reason: role })
        return true
      }),

    /** Notes that the e-mail is its owner's. */
    verify: (name: string, client: Client): Promise<boolean> =>
      transaction(async () => {
        const { id, public_id } = await find(name)
        if (!(await users.verify(id))) return false
        await audit('account.verified', client, { user: public_id })
        return true
      }),

    /** Shuts an account and ends its sessions, together. */
    deactivate: (name: string, client: Client): Promise<boolean> =>
      transaction(async () => {
        const { id, public_id } = await find(name)
        if (!(await users.deactivate(id))) return false
        const ended = await sessions.revokeAll(id, 'deactivated')
        await audit('account.deactivated', client, { user: public_id, sessions: ended })
        return true
      }),

    /** Lets the owner of a deactivated account sign in again. */
    activate: (name: string, client: Client): Promise<boolean> =>
      transaction(async () => {
        const { id, public_id } = await find(name)
        if (!(await users.activate(id))) return false
        await audit('account.activated', client, { user: public_id })
        return true
      }),

    /** Sets a new password and ends every session, together. Gives how many. @throws ValidationError when it is too weak */
    async resetPassword(name: string, password: string, client: Client): Promise<number> {
      const { id, public_id, email } = await find(name)
      await passwords.check('password', password, email)
      const password_hash = await passwords.hash(password)
      return transaction(async () => {
        // It may have been deleted meanwhile.
        if (!(await users.resetPassword(id, password_hash))) throw new NotFoundError('There is no such account')
        const ended = await sessions.revokeAll(id, 'password_change')
        await audit('password.reset', client, { user: public_id, sessions: ended })
        return ended
      })
    },

    /** The live sessions of an account, newest first, at most 100. */
    async sessions(name: string) {
      const { id } = await find(name)
      return sessions.list(id, listed)
    },

    /** Ends a session. @throws NotFoundError when no such session lives */
    endSession: (publicId: string, client: Client): Promise<void> =>
      transaction(async () => {
        if (!(await sessions.revoke(publicId, 'revoked'))) throw new NotFoundError('There is no such live session')
        const known = await sessions.findFate(publicId)
        await audit('session.revoked', client, { user: known?.user, session: publicId, reason: 'revoked' })
      }),

    /** Ends every session of an account. Gives how many. */
    endSessions: (name: string, client: Client): Promise<number> =>
      transaction(async () => {
        const { id, public_id } = await find(name)
        const ended = await sessions.revokeAll(id, 'revoked')
        if (ended > 0) await audit('session.revoked', client, { user: public_id, sessions: ended, reason: 'revoked' })
        return ended
      }),
  }
}
