import type { Logger } from 'pino'

/** Seconds beyond the requests' own limit, for closing the database. */
const closingMargin = 2

/**
 * Ends the process politely on SIGTERM and SIGINT, with code 0, and with 1 after a fault that leaves it
 * in an unknown state or when closing takes longer than the limit. A second signal ends it at once.
 * @param limitSeconds how long running requests may take
 */
export function endOnSignals(close: () => Promise<unknown>, log: Logger, limitSeconds: number): void {
  let ending = false
  async function end(code: number) {
    if (ending) process.exit(1)
    ending = true
    setTimeout(() => process.exit(1), (limitSeconds + closingMargin) * 1000).unref()
    try {
      await close()
      process.exit(code)
    } catch (error) {
      log.fatal({ err: error }, 'closing failed')
      process.exit(1)
    }
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping')
      void end(0)
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
