import { UnavailableError } from './errors.ts'

/** Tasks that may wait under one key. */
const queued = 100

interface Queue {
  last: Promise<unknown>
  length: number
  /** Why the tasks that wait need not be tried. */
  unavailable?: UnavailableError
}

/**
 * Runs the tasks of one key one after another, in the order of their coming; those of different keys at once. When
 * one finds something unavailable, those behind it end the same way: each would wait for the same time limit. When too
 * many wait already, `surplus` is done instead, at once.
 */
export function createTurns() {
  const queues = new Map<string, Queue>()

  return async <T>(key: string, task: () => Promise<T>, surplus: () => Promise<T>): Promise<T> => {
    const queue: Queue = queues.get(key) ?? { last: Promise.resolve(), length: 0 }
    if (queue.length >= queued) return surplus()
    queues.set(key, queue)
    queue.length++
    const turn = queue.last.then(() => {
      if (queue.unavailable) throw queue.unavailable
      return task()
    })
    // The next one comes whether this one succeeds or fails.
    queue.last = turn.catch(() => {})
    try {
      return await turn
    } catch (error) {
      if (error instanceof UnavailableError) queue.unavailable = error
      throw error
    } finally {
      if (--queue.length === 0) queues.delete(key)
    }
  }
}
