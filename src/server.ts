import type { Logger } from 'pino'
import { createApp } from './app.ts'
import type { Config } from './core/config.ts'
import { announceStop } from './core/http/drain.ts'
import { repeat } from './core/repeat.ts'
import { exitWith } from './core/start.ts'
import { endOnSignals } from './core/stop.ts'
import type { Database } from './db/database.ts'
import { createServices } from './wiring.ts'

/** Milliseconds from one look for something to purge to the next. */
const purgeInterval = 5 * 60 * 1000

/** Serves the API until the process is told to end. Gives the address at which it listens. */
export async function serve(config: Config, database: Database, log: Logger): Promise<string> {
  const services = createServices(config, database, log)
  const app = await createApp(config, services, log)
  const endPurging = repeat(services.purge.runIfDue, purgeInterval, log)
  app.addHook('onClose', () => {
    endPurging()
    return database.close()
  })
  const { SHUTDOWN_DELAY_SECONDS: delay, SHUTDOWN_TIMEOUT_SECONDS: limit } = config
  endOnSignals(
    async (signal) => {
      // No proxy waits for what ends at a terminal, or for a worker that another one replaces.
      if (signal === 'SIGTERM') await announceStop(app, delay)
      await app.close()
    },
    log,
    delay + limit,
  )

  return app
    .listen({ host: config.HOST, port: config.PORT })
    .catch((error: Error) => exitWith(`Cannot listen on HOST ${config.HOST}, PORT ${config.PORT}: ${error.message}`))
}
