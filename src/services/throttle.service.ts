import type { Client } from '../core/actor.ts'
import type { Audit } from '../core/audit.ts'
import { TooManyRequestsError, UnauthorizedError, UnavailableError } from '../core/errors.ts'
import { networkOf } from '../core/http/client.ts'
import type { Fingerprint } from '../core/security/fingerprints.ts'
import { createTurns } from '../core/turns.ts'
import type { Backoff, Quota, ThrottleRepository } from '../repositories/throttle.repository.ts'

const minute = 60
const hour = 60 * minute

export interface ThrottleDependencies {
  throttles: ThrottleRepository
  limits: {
    /** Wrong passwords at one account, from one address, before the next must wait. */
    accountFailures: number
    /** Failures from one address, whatever the account, in a quarter of an hour. */
    addressFailures: number
    /** Registrations from one address in an hour. */
    registrations: number
  }
  enabled: boolean
  fingerprint: Fingerprint
  audit: Audit
}

type Kind = 'login' | 'password' | 'refresh' | 'register'

interface Guess {
  kind: Kind
  client: Client
  /** What names the account that is guessed at. */
  account: string[]
  /** Its public id, where it is known. */
  user?: string
}

export type Throttle = ReturnType<typeof createThrottleService>

/** Slows down who guesses, or makes accounts by the hundred. */
export function createThrottleService({ throttles, limits, enabled, fingerprint, audit }: ThrottleDependencies) {
  const backoff: Backoff = { free: limits.accountFailures, wait: 15, longestWait: 15 * minute }
  const failures: Quota = { quota: limits.addressFailures, window: 15 * minute }
  const registrations: Quota = { quota: limits.registrations, window: hour }

  // One guess after the other at one account: those that wait behind a right password are not taken for
  // failures. Other processes are kept in check by the count in the database.
  const inTurn = createTurns()

  const addressKey = (kind: Kind, { ip }: Client) => fingerprint(kind, 'address', networkOf(ip))

  async function tooMany(kind: Kind, key: string, policy: Quota) {
    const wait = Math.ceil((await throttles.wait(key)) ?? 1)
    return new TooManyRequestsError(Math.min(Math.max(wait, 1), policy.window), { name: kind, ...policy })
  }

  async function refuse({ kind, client, user }: Omit<Guess, 'account'>, key: string, policy: Quota): Promise<never> {
    await audit('attempt.throttled', client, { user, reason: kind })
    throw await tooMany(kind, key, policy)
  }

  return {
    /**
     * Lets a guess at an account's password be made. It is counted for the account before it is made, and for
     * the address when it was wrong: those who sign in by the hundred from one office are no guessers.
     * @throws TooManyRequestsError when there were too many wrong ones and the wait is not over
     */
    async guess<T>(guess: Guess, work: () => Promise<T>): Promise<T> {
      if (!enabled) return work()
      const { kind, client, account } = guess
      const address = addressKey(kind, client)
      if (await throttles.isUsedUp(address, failures)) await refuse(guess, address, failures)
      const key = fingerprint(kind, 'account', ...account)
      const tooEarly = () => refuse(guess, key, { quota: backoff.free, window: backoff.longestWait })
      const attempt = async () => {
        if (!(await throttles.admit(key, backoff))) await tooEarly()
        try {
          const result = await work()
          await quietly(throttles.forget(key))
          return result
        } catch (error) {
          if (!(error instanceof UnauthorizedError)) await quietly(throttles.undo(key))
          else if (!(await throttles.take(address, failures))) throw await tooMany(kind, address, failures)
          throw error
        }
      }
      return inTurn(key, attempt, tooEarly)
    },

    /** Counts a failure that no password was asked for. @throws TooManyRequestsError when there were too many from this address */
    async countFailure(kind: Kind, client: Client): Promise<void> {
      const key = addressKey(kind, client)
      if (enabled && !(await throttles.take(key, failures))) throw await tooMany(kind, key, failures)
    },

    /** Lets an account be made. @throws TooManyRequestsError when there were too many from this address */
    async register<T>(client: Client, work: () => Promise<T>): Promise<T> {
      if (!enabled) return work()
      const key = addressKey('register', client)
      if (!(await throttles.take(key, registrations))) await refuse({ kind: 'register', client }, key, registrations)
      try {
        return await work()
      } catch (error) {
        if (error instanceof UnavailableError) await quietly(throttles.giveBack(key))
        throw error
      }
    },
  }
}

/** What was decided stands even if a count cannot be put right; it runs out by itself. */
const quietly = (correction: Promise<unknown>) => correction.catch(() => {})
