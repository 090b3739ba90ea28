import { UnavailableError } from './errors.ts'

/** Tasks that may wait under one key. */
const queued = 100

/** Runs the tasks of one key one after another, in the order of their coming; those of different keys at once. */
export function createTurns() {
  const queues = new Map<string, { last: Promise<unknown>; length: number }>()

  return async <T>(key: string, task: () => Promise<T>): Promise<T> => {
    const queue = queues.get(key) ?? { last: Promise.resolve(), length: 0 }
    if (queue.length >= queued) throw new UnavailableError('The server is busy', { retryAfter: 2 })
    queues.set(key, queue)
    queue.length++
    const turn = queue.last.then(task)
    // The next one comes whether this one succeeds or fails.
    queue.last = turn.catch(() => {})
    try {
      return await turn
    } finally {
      if (--queue.length === 0) queues.delete(key)
    }
  }
}
