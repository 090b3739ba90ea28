import type { FastifyBaseLogger } from 'fastify'

/** Milliseconds for an answer. */
const patience = 250
/** Milliseconds for which nothing is asked after there was no answer. */
const respite = 5000

/**
 * Asks somebody who may be away at any time. `ask` gives undefined when there is no answer in time; then they are
 * left alone for a while.
 * @param who for the log, as in "Redis"
 */
export function createPatience(who: string, log: FastifyBaseLogger) {
  let away = false
  /** By a clock that nobody sets: set back an hour, the other would leave them alone for an hour. */
  let askAgain = 0

  const fail = (error: unknown) => {
    if (!away) log.warn({ err: error }, `${who} is away: counting without it`)
    away = true
  }

  return {
    fail,
    async ask<T>(question: () => Promise<T>): Promise<T | undefined> {
      if (performance.now() < askAgain) return undefined
      const late = Promise.withResolvers<never>()
      const giveUp = () => late.reject(new Error(`${who} does not answer`))
      // When this process was too busy to listen, the answer is there, and read before this.
      const timer = setTimeout(() => setImmediate(giveUp), patience)
      try {
        const answer = await Promise.race([question(), late.promise])
        // Others asked at the same time and got none: whoever comes through now proves little.
        if (performance.now() < askAgain) return answer
        if (away) log.info(`${who} is back`)
        away = false
        return answer
      } catch (error) {
        askAgain = performance.now() + respite
        fail(error)
        return undefined
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
