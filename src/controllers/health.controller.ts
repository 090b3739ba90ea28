import { UnavailableError } from '../core/errors.ts'
import { open } from '../core/http/guards.ts'
import { success } from '../core/http/responses.ts'
import type { App } from '../core/http/validation.ts'
import { version } from '../core/version.ts'
import { health, live, ready } from '../schemas/health.schema.ts'
import type { Services } from '../wiring.ts'

export function healthController(app: App, services: Services) {
  // Probes come often, and from few addresses.
  const config = { rateLimit: false as const }

  app.get('/health', { schema: health, onRequest: open, config }, async () =>
    success({ status: 'healthy' as const, version, uptime_seconds: Math.round(process.uptime()) }),
  )

  app.get('/health/live', { schema: live, onRequest: open, config }, async () => success({ status: 'live' as const }))

  app.get('/health/ready', { schema: ready, onRequest: open, config }, async () => {
    if (app.isStopping) throw new UnavailableError('The server is stopping')
    await services.health.ready()
    return success({ status: 'ready' as const })
  })
}
