import type { Client } from '../core/actor.ts'
import type { Audit } from '../core/audit.ts'
import { ConflictError, UnauthorizedError } from '../core/errors.ts'
import { networkOf } from '../core/http/client.ts'
import type { AccessTokens } from '../core/security/access-tokens.ts'
import type { Passwords } from '../core/security/passwords.ts'
import type { RefreshTokens } from '../core/security/refresh-tokens.ts'
import type { Database } from '../db/database.ts'
import type { Role } from '../models/enums.ts'
import type { SessionLimits, SessionRepository } from '../repositories/session.repository.ts'
import type { UserRepository } from '../repositories/user.repository.ts'
import type { Credentials, Registration, TokenPair } from '../schemas/auth.schema.ts'
import type { Throttle } from './throttle.service.ts'

export interface AuthDependencies {
  users: UserRepository
  sessions: SessionRepository
  throttle: Throttle
  passwords: Passwords
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  sessionLimits: SessionLimits
  transaction: Database['transaction']
  audit: Audit
}

interface TokenOwner {
  public_id: string
  role: Role
}

interface SessionStart {
  public_id: string
  gen: number
}

/** An account as it was when its password was verified. */
interface CheckedUser extends TokenOwner {
  id: number
  password_hash: string
}

interface SignIn {
  user: TokenOwner
  session: SessionStart
}

/** Registering, signing in and out, and refreshing. */
export function createAuthService(needs: AuthDependencies) {
  const { users, sessions, throttle, passwords, accessTokens, refreshTokens, sessionLimits, transaction, audit } = needs

  const tokenPair = (user: TokenOwner, session: SessionStart): TokenPair => {
    const claims = { sid: session.public_id, gen: session.gen }
    return {
      access_token: accessTokens.sign({ sub: user.public_id, role: user.role, ...claims }),
      refresh_token: refreshTokens.sign(claims),
      token_type: 'Bearer',
      expires_in: accessTokens.lifetime,
    }
  }

  /**
   * Opens a session for a password that was verified. Since then it may have been changed, and every
   * session ended: a new one must not slip in behind that, so the account is asked again.
   */
  async function openSession(user: CheckedUser, password: string, client: Client) {
    const newHash = passwords.isOutdated(user.password_hash) ? await passwords.hash(password) : user.password_hash
    return transaction(async () => {
      if (!(await users.recordLogin(user.id, user.password_hash, client.ip, newHash))) return undefined
      const session = await sessions.add(user.id, client, sessionLimits)
      await audit('login.succeeded', client, { user: user.public_id, session: session.public_id })
      return session
    })
  }

  /**
   * Looks a second time when the hash changed meanwhile: another sign-in may have renewed it, under the same password.
   * @throws UnauthorizedError the same, whatever is wrong
   */
  async function signIn(email: string, password: string, client: Client, attempts = 2): Promise<SignIn> {
    const user = await users.findCredentials(email)
    const matches = await passwords.verify(user?.password_hash, password)
    const isRight = user && matches && user.is_active
    const session = isRight ? await openSession(user, password, client) : undefined
    if (isRight && session) return { user, session }
    if (isRight && attempts > 1) return signIn(email, password, client, attempts - 1)
    await audit('login.failed', client, { user: user?.public_id })
    throw new UnauthorizedError('invalid_credentials', 'The e-mail or the password is wrong')
  }

  /** Tokens for the next generation; undefined when there are none, and the audit log says why. */
  async function rotate(refreshToken: string, client: Client): Promise<TokenPair | undefined> {
    const claims = refreshTokens.verify(refreshToken)
    if (!claims) {
      await audit('session.refresh_refused', client, { reason: 'malformed' })
      return undefined
    }
    const session = await sessions.rotate(claims.sid, claims.gen, sessionLimits)
    const isTheft = Boolean(session?.revoked_at)
    const user = session && !isTheft ? await users.findTokenOwner(session.user_id) : undefined
    if (session && user) return tokenPair(user, { public_id: claims.sid, gen: session.gen })

    const known = await sessions.findFate(claims.sid)
    const details = { user: known?.user, session: claims.sid }
    const reason = session ? 'account_inactive' : known ? (known.revoke_reason ?? 'expired') : 'unknown'
    if (isTheft) await audit('session.refresh_reuse', client, details)
    else await audit('session.refresh_refused', client, { ...details, reason })
    return undefined
  }

  return {
    /** @throws ConflictError when the e-mail is in use; ValidationError when the password is too weak; TooManyRequestsError */
    async register({ password, ...person }: Registration, client: Client): Promise<TokenPair> {
      await passwords.check('password', password, person.email)
      passwords.requireRoom()
      return throttle.register(client, async () => {
        // Spares the hashing. The unique index is what decides, for those who register at the same moment.
        if (await users.findCredentials(person.email)) throw new ConflictError('email', 'This email is already in use')
        const password_hash = await passwords.hash(password)
        return transaction(async () => {
          const user = await users.add({ ...person, password_hash })
          const session = await sessions.add(user.id, client, sessionLimits)
          await audit('account.registered', client, { user: user.public_id, session: session.public_id })
          return tokenPair(user, session)
        })
      })
    },

    /**
     * @throws UnauthorizedError the same for an unknown e-mail, a wrong password and an account that is no longer active;
     *   TooManyRequestsError after too many failures; UnavailableError when too many sign in at once
     */
    async login({ email, password }: Credentials, client: Client): Promise<TokenPair> {
      // Per account and address: a stranger's failures never lock the owner out.
      passwords.requireRoom()
      const account = [email, networkOf(client.ip)]
      const { user, session } = await throttle.guess({ kind: 'login', client, account }, () =>
        signIn(email, password, client),
      )
      return tokenPair(user, session)
    },

    /**
     * @throws UnauthorizedError the same for a forged, old, reused or revoked token: the audit log tells them apart;
     *   TooManyRequestsError after too many failures
     */
    async refresh(refreshToken: string, client: Client): Promise<TokenPair> {
      // It commits even when it refuses: what it found out about a theft must stand.
      const tokens = await transaction(() => rotate(refreshToken, client))
      if (tokens) return tokens
      await throttle.countFailure('refresh', client)
      throw new UnauthorizedError('invalid_token', 'The refresh token is not valid')
    },

    /** Ends the session of a refresh token. A dead or foreign token is nobody's business. */
    async logout(refreshToken: string, client: Client): Promise<void> {
      const claims = refreshTokens.verify(refreshToken)
      if (!claims) return
      await transaction(async () => {
        if (!(await sessions.revoke(claims.sid, 'logout'))) return
        const known = await sessions.findFate(claims.sid)
        await audit('session.revoked', client, { user: known?.user, session: claims.sid, reason: 'logout' })
      })
    },
  }
}
