import type { Logger } from 'pino'

/**
 * Runs a job again and again while the process lives, and does not keep it alive. A failure is logged,
 * and the next time is another chance.
 * @param interval milliseconds from one start to the next
 */
export function repeat(job: () => Promise<object>, interval: number, log: Logger): void {
  const run = () =>
    job().then(
      (result) => log.info({ job: result }, 'job done'),
      (error: unknown) => log.error({ err: error }, 'job failed'),
    )
  setInterval(() => void run(), interval).unref()
}
