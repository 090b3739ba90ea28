import type { Server } from 'node:http'
import cors from '@fastify/cors'
import fastify, { LogController, type FastifyBaseLogger, type FastifyHttpOptions } from 'fastify'
import { docsController } from './controllers/docs.controller.ts'
import { controllers } from './controllers/index.ts'
import { auditRefusals } from './core/audit.ts'
import type { Config } from './core/config.ts'
import { spareUnchanged } from './core/http/conditional.ts'
import { drainOnClose } from './core/http/drain.ts'
import { requireGuards } from './core/http/guards.ts'
import { acceptIdempotencyKeys } from './core/http/idempotency.ts'
import { shedOverload } from './core/http/overload.ts'
import { limitRates } from './core/http/rate-limits.ts'
import {
  handleClientError,
  identify,
  identifyRequests,
  parseJson,
  parseQuery,
  refuseContentCodings,
  refuseDoubtfulFraming,
  refuseExpectations,
  rejectUnknownRoutes,
  requestId,
} from './core/http/requests.ts'
import { handleError } from './core/http/responses.ts'
import { collectRoutes } from './core/http/routes.ts'
import { limitTime } from './core/http/time-limit.ts'
import {
  refuseStrayInput,
  serializerCompiler,
  validatorCompiler,
  type App,
  type ZodTypeProvider,
} from './core/http/validation.ts'
import { logRequest, logRequests } from './core/logging.ts'
import type { Services } from './wiring.ts'

/** Builds the HTTP application over the services. It listens to nothing yet. */
export async function createApp(config: Config, services: Services, log: FastifyBaseLogger): Promise<App> {
  const app: App = fastify(serverOptions(config, log)).withTypeProvider<ZodTypeProvider>()

  // How bodies come in, and how replies go out.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parseJson)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(handleError)

  // What happens to every request, in this order.
  shedOverload(app, config, services.health.databaseDelay, log)
  identifyRequests(app)
  limitTime(app, config.REQUEST_TIMEOUT_SECONDS)
  refuseDoubtfulFraming(app)
  refuseExpectations(app)
  if (config.CORS_ORIGINS.length > 0) await app.register(cors, corsOptions(config))
  rejectUnknownRoutes(app)
  refuseContentCodings(app)
  refuseStrayInput(app)
  spareUnchanged(app)
  auditRefusals(app, services.audit)
  logRequests(app)

  // Which routes there are, and who may ask them.
  app.decorate('authenticate', (token: string) => services.sessions.authenticate(token))
  requireGuards(app)
  await limitRates(app, config)
  acceptIdempotencyKeys(app, services.idempotency.once)
  collectRoutes(app)
  for (const register of controllers) register(app, services)
  if (config.DOCS_ENABLED) docsController(app, config.APP_NAME)

  drainOnClose(app, config.SHUTDOWN_TIMEOUT_SECONDS)
  return app
}

const serverOptions = (config: Config, log: FastifyBaseLogger) =>
  ({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    trustProxy: config.TRUST_PROXY.length > 0 ? config.TRUST_PROXY : false,
    bodyLimit: 1024 * 1024,
    routerOptions: { querystringParser: parseQuery, maxParamLength: 500 },
    // It would cut the closing short, which has a limit of its own.
    pluginTimeout: 0,
    // Requests that arrive while the server drains are still answered.
    return503OnClosing: false,
    // Milliseconds that a request may take to arrive.
    requestTimeout: 30_000,
    http: {
      headersTimeout: 10_000,
      connectionsCheckingInterval: 1000,
      // Node would answer by itself, without our headers; `refuseDoubtfulFraming` sees to it.
      requireHostHeader: false,
    },
    clientErrorHandler: (error, socket) => handleClientError(error, socket, log),
    // A URL that cannot be decoded never reaches the hooks, nor the one that looks at the framing: the connection ends.
    frameworkErrors(error, request, reply) {
      reply.raw.once('finish', () => logRequest(request, reply))
      handleError(error, request, identify(request, reply).header('connection', 'close'))
    },
  }) satisfies FastifyHttpOptions<Server>

const corsOptions = ({ CORS_ORIGINS, CORS_CREDENTIALS }: Config) => ({
  // A function, because a list would still send the other headers to origins that are not on it.
  origin: (origin: string | undefined, decide: (error: null, allowed: string | boolean) => void) =>
    decide(null, CORS_ORIGINS.includes('*') ? '*' : origin !== undefined && CORS_ORIGINS.includes(origin) && origin),
  credentials: CORS_CREDENTIALS,
  methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
  exposedHeaders: [
    'x-request-id',
    'location',
    'etag',
    'idempotency-replayed',
    'retry-after',
    'ratelimit',
    'ratelimit-policy',
  ],
  strictPreflight: false,
  maxAge: 600,
})
