import cluster from 'node:cluster'
import type { Logger } from 'pino'

/** Milliseconds within which a signal is the first one again: npm passes on what the terminal has sent to all. */
const repeated = 500

export type EndSignal = 'SIGTERM' | 'SIGINT'

/** Seconds beyond the requests' own limit, for closing the database. */
const closingMargin = 2

/**
 * Ends the process politely on SIGTERM and SIGINT, with code 0, and with 1 after a fault that leaves it
 * in an unknown state or when closing takes longer than the limit. A second signal, a moment later, ends it at once;
 * but for a worker, which may be told by its supervisor and by a service manager, and is killed when it is time.
 * @param close is told the signal, if it was one
 * @param limitSeconds how long it may take, but for closing the database
 */
export function endOnSignals(close: (signal?: EndSignal) => Promise<unknown>, log: Logger, limitSeconds: number): void {
  let since: number | undefined
  async function end(code: number, signal?: EndSignal) {
    if (since !== undefined) {
      if (cluster.isPrimary && performance.now() - since > repeated) process.exit(1)
      return
    }
    since = performance.now()
    setTimeout(() => process.exit(1), (limitSeconds + closingMargin) * 1000).unref()
    try {
      await close(signal)
      process.exit(code)
    } catch (error) {
      log.fatal({ err: error }, 'closing failed')
      process.exit(1)
    }
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping')
      void end(0, signal)
    })
  }
  // A promise that nobody awaited belongs to one request; the others need not suffer for it.
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'unhandled rejection'))
  // After an exception that nobody caught, nothing is known of the state: finish what runs, and end.
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught exception')
    void end(1)
  })
}
