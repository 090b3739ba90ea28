import { createHash } from 'node:crypto'
import type { Client } from '../core/actor.ts'
import type { Audit } from '../core/audit.ts'
import { TooManyRequestsError } from '../core/errors.ts'
import { createTurns } from '../core/turns.ts'
import type { ThrottlePolicy, ThrottleRepository } from '../repositories/throttle.repository.ts'

export interface ThrottleDependencies {
  throttles: ThrottleRepository
  policy: ThrottlePolicy
  enabled: boolean
  audit: Audit
}

export type Throttle = ReturnType<typeof createThrottleService>

/** Slows down who guesses. What is counted is named by its parts, such as an account and an address, and stored as a hash. */
export function createThrottleService({ throttles, policy, enabled, audit }: ThrottleDependencies) {
  // One attempt after the other under one key: those that wait behind a right password are not
  // taken for failures. Other processes are kept in check by the count in the database.
  const inTurn = createTurns()

  async function refuse(name: string, key: string, client: Client): Promise<never> {
    const until = await throttles.blockedUntil(key)
    const seconds = until === undefined ? 1 : Math.ceil((Date.parse(until) - Date.now()) / 1000)
    audit('attempt.throttled', { kind: name, ...client })
    throw new TooManyRequestsError(Math.min(Math.max(seconds, 1), policy.longestWait), { name, quota: policy.free })
  }

  /**
   * Makes an attempt, counted as failed if it throws; a success begins the count anew.
   * @throws TooManyRequestsError when there were too many failures and the wait is not over
   */
  return async <T>(
    [name, ...subject]: [string, ...string[]],
    client: Client,
    attempt: () => Promise<T>,
  ): Promise<T> => {
    if (!enabled) return attempt()
    const key = createHash('sha256')
      .update(JSON.stringify([name, ...subject]))
      .digest('hex')
    return inTurn(key, async () => {
      if (!(await throttles.admit(key, policy))) await refuse(name, key, client)
      const result = await attempt()
      await throttles.forget(key)
      return result
    })
  }
}
