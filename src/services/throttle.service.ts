import { createHash } from 'node:crypto'
import type { Audit } from '../core/audit.ts'
import { TooManyRequestsError } from '../core/errors.ts'
import type { ThrottlePolicy, ThrottleRepository } from '../repositories/throttle.repository.ts'

export type Throttle = ReturnType<typeof createThrottleService>

/** Slows down who guesses. What is counted is named by its parts, such as an account and an address, and stored as a hash. */
export interface ThrottleDependencies {
  throttles: ThrottleRepository
  policy: ThrottlePolicy
  enabled: boolean
  audit: Audit
}

export function createThrottleService({ throttles, policy, enabled, audit }: ThrottleDependencies) {
  const keyOf = (parts: string[]) => createHash('sha256').update(JSON.stringify(parts)).digest('hex')

  return {
    /** @throws TooManyRequestsError when there were too many attempts and the wait is not over */
    async admit(parts: string[]): Promise<void> {
      const key = keyOf(parts)
      if (!enabled || (await throttles.admit(key, policy))) return
      audit('attempt.throttled', { kind: parts[0] })
      const until = await throttles.blockedUntil(key)
      const seconds = until === undefined ? 1 : Math.ceil((Date.parse(until) - Date.now()) / 1000)
      throw new TooManyRequestsError(Math.min(Math.max(seconds, 1), policy.longestWait), {
        name: parts[0]!,
        quota: policy.free,
      })
    },

    /** After a success the count begins anew. */
    async forget(parts: string[]): Promise<void> {
      if (enabled) await throttles.forget(keyOf(parts))
    },
  }
}
