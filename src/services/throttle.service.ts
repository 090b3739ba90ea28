import { createHash } from 'node:crypto'
import type { Client } from '../core/actor.ts'
import type { Audit } from '../core/audit.ts'
import { networkOf } from '../core/client.ts'
import { TooManyRequestsError, UnauthorizedError } from '../core/errors.ts'
import { createTurns } from '../core/turns.ts'
import type { Backoff, Quota, ThrottleRepository } from '../repositories/throttle.repository.ts'

const minute = 60
const hour = 60 * minute

export interface ThrottleDependencies {
  throttles: ThrottleRepository
  limits: {
    /** Wrong passwords on one account, from one address, before the next must wait. */
    accountFailures: number
    /** Failures from one address, whatever the account, in a quarter of an hour. */
    addressFailures: number
    /** Registrations from one address in an hour. */
    registrations: number
  }
  enabled: boolean
  audit: Audit
}

/** An attempt, by whom, and for guesses at a password at which account. */
interface Attempt {
  kind: 'login' | 'password' | 'refresh' | 'register'
  client: Client
  account?: string[]
}

export type Throttle = ReturnType<typeof createThrottleService>

/** Slows down who guesses, or makes accounts by the hundred. What is counted is stored as a hash. */
export function createThrottleService({ throttles, limits, enabled, audit }: ThrottleDependencies) {
  const backoff: Backoff = { free: limits.accountFailures, wait: 15, longestWait: 15 * minute }
  const failures: Quota = { quota: limits.addressFailures, window: 15 * minute }
  const registrations: Quota = { quota: limits.registrations, window: hour }

  // One guess after the other at one account: those that wait behind a right password are not taken for
  // failures. Other processes are kept in check by the count in the database.
  const inTurn = createTurns()

  async function refuse({ kind, client }: Attempt, key: string, policy: Quota): Promise<never> {
    const { refusals = 1, until = '' } = (await throttles.refuse(key)) ?? {}
    const wait = Math.ceil((Date.parse(until) - Date.now()) / 1000) || 1
    await audit('attempt.throttled', client, { reason: kind }, refusals > 1)
    throw new TooManyRequestsError(Math.min(Math.max(wait, 1), policy.window), { name: kind, ...policy })
  }

  /** Counts a guess at an account; only a wrong one stays counted. */
  async function countGuess<T>(attempt: Attempt, account: string[], work: () => Promise<T>): Promise<T> {
    const key = keyOf(attempt.kind, 'account', ...account)
    return inTurn(key, async () => {
      if (!(await throttles.admit(key, backoff)))
        await refuse(attempt, key, { quota: backoff.free, window: backoff.longestWait })
      try {
        const result = await work()
        await throttles.forget(key)
        return result
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) await throttles.giveBack(key, true)
        throw error
      }
    })
  }

  /** Counts an attempt from an address; of those that may fail, the ones that do not are taken back. */
  async function countAddress<T>(attempt: Attempt, work: () => Promise<T>): Promise<T> {
    const policy = attempt.kind === 'register' ? registrations : failures
    const key = keyOf(attempt.kind, 'address', networkOf(attempt.client.ip))
    if (!(await throttles.take(key, policy))) await refuse(attempt, key, policy)
    let failed = attempt.kind === 'register'
    try {
      return await work()
    } catch (error) {
      failed ||= error instanceof UnauthorizedError
      throw error
    } finally {
      if (!failed) await throttles.giveBack(key)
    }
  }

  /** Makes an attempt. @throws TooManyRequestsError when there were too many and the wait is not over */
  return async <T>(attempt: Attempt, work: () => Promise<T>): Promise<T> => {
    if (!enabled) return work()
    const fromAddress = () => countAddress(attempt, work)
    return attempt.account ? countGuess(attempt, attempt.account, fromAddress) : fromAddress()
  }
}

const keyOf = (...parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex')
