import type { Logger } from 'pino'

/**
 * Runs a job now, and again and again while the process lives, without keeping it alive. A failure is
 * logged, and the next time is another chance.
 * @param job gives what it did, for the log, or undefined if there was nothing to do
 * @param interval milliseconds from one start to the next
 * @returns what ends it; a run that the end cuts off is no failure
 */
export function repeat(job: () => Promise<object | undefined>, interval: number, log: Logger): () => void {
  let ended = false
  const run = () =>
    job().then(
      (result) => result && log.info({ job: result }, 'job done'),
      (error: unknown) => ended || log.error({ err: error }, 'job failed'),
    )
  void run()
  const timer = setInterval(() => void run(), interval).unref()
  return () => {
    ended = true
    clearInterval(timer)
  }
}
