import { UnavailableError } from './errors.ts'

/**
 * Lets `concurrency` tasks run at once and `queued` wait; the surplus is refused at once, because a
 * queue without a bound only turns overload into time-outs and lost memory.
 */
export function createLimiter(concurrency: number, queued: number) {
  let running = 0
  const waiting: (() => void)[] = []

  /** @throws UnavailableError when a task would be refused now */
  const requireRoom = () => {
    if (running >= concurrency && waiting.length >= queued)
      throw new UnavailableError('The server is busy', { retryAfter: 2 })
  }

  const run = async <T>(task: () => Promise<T>): Promise<T> => {
    requireRoom()
    if (running >= concurrency) {
      // Woken by a task that ended and left its place.
      await new Promise<void>((resolve) => void waiting.push(resolve))
    } else {
      running++
    }
    try {
      return await task()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }

  return { run, requireRoom }
}
