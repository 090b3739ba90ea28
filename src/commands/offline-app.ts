import { pino } from 'pino'
import { createApp } from '../app.ts'
import { readConfig } from '../core/config.ts'
import { readEnvironment, withStandInSecrets } from '../core/environment.ts'
import { guardName } from '../core/http/guards.ts'
import { guardOf } from '../core/http/routes.ts'
import type { App } from '../core/http/validation.ts'
import { openDatabase } from '../db/database.ts'
import { createServices } from '../wiring.ts'

/**
 * Builds the application as it is configured, but for what it would connect to, and takes it down again: for
 * looking at its routes. Where no secrets are configured it makes do with new ones.
 */
export async function withOfflineApp(
  work: (app: App) => Promise<void> | void,
  overrides: NodeJS.Dict<string> = {},
): Promise<void> {
  const { given, file } = readEnvironment()
  const config = readConfig({ ...withStandInSecrets({ ...file, ...given }), ...overrides, REDIS_URL: undefined })
  const log = pino({ level: 'silent' })
  // It connects with its first statement, and there is none.
  const database = openDatabase(config)
  const app = await createApp(config, createServices(config, database, log), log)
  try {
    await app.ready()
    await work(app)
  } finally {
    await app.close()
    await database.close()
  }
}

/** Every route: who may ask it and, where the API document tells of it, under which name. */
export const routesOf = ({ collectedRoutes }: App) =>
  collectedRoutes.map(({ method, url, schema, onRequest }) => {
    const guard = guardOf(onRequest)
    return {
      method: String(method),
      path: url.replaceAll(/:(\w+)/g, '{$1}'),
      guard: guard ? guardName(guard) : '',
      operation_id: schema?.operationId ?? null,
    }
  })
