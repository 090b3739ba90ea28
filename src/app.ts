import cors from '@fastify/cors'
import fastify, { LogController, type FastifyBaseLogger, type FastifyReply, type FastifyRequest } from 'fastify'
import { controllers } from './controllers/index.ts'
import { docsController } from './controllers/docs.controller.ts'
import type { Config } from './core/config.ts'
import { drainOnClose } from './core/drain.ts'
import { AppError } from './core/errors.ts'
import {
  handleClientError,
  hasDoubtfulFraming,
  parseJson,
  parseQuery,
  rejectUnknownRoutes,
  requestId,
  securityHeaders,
} from './core/http.ts'
import { guardOf, type DocumentedRoute } from './core/openapi.ts'
import { handleError, pathOf } from './core/responses.ts'
import { serializerCompiler, validatorCompiler, type App, type ZodTypeProvider } from './core/validation.ts'
import type { Services } from './wiring.ts'

/** Bytes. */
const bodyLimit = 1024 * 1024
/** Milliseconds that a request may take to arrive, its headers and its body. */
const arrivalLimit = { headersTimeout: 10_000, requestTimeout: 30_000 }

/** Characters of a path that are logged: enough for every route, too few for filling a disk. */
const loggedPath = 500

/** Builds the HTTP application over the services. It listens to nothing yet. */
export async function createApp(config: Config, services: Services, log: FastifyBaseLogger): Promise<App> {
  const app: App = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    trustProxy: config.TRUST_PROXY.length > 0 ? config.TRUST_PROXY : false,
    bodyLimit,
    return503OnClosing: false,
    routerOptions: { querystringParser: parseQuery, maxParamLength: 500 },
    requestTimeout: arrivalLimit.requestTimeout,
    http: {
      headersTimeout: arrivalLimit.headersTimeout,
      connectionsCheckingInterval: 1000,
      // Node would answer by itself, without our headers; `hasDoubtfulFraming` sees to it.
      requireHostHeader: false,
    },
    clientErrorHandler: (error, socket) => handleClientError(error, socket, log),
    // A URL that cannot be decoded never reaches the hooks below.
    frameworkErrors: (error, request, reply) => void handleError(error, request, identify(request, reply)),
  }).withTypeProvider<ZodTypeProvider>()

  // How bodies come in, and how replies go out.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parseJson)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(handleError)

  // What happens to every request, in this order.
  app.addHook('onRequest', async (request, reply) => {
    identify(request, reply)
    if (hasDoubtfulFraming(request.raw)) {
      reply.header('connection', 'close')
      throw new AppError('bad_request', 'The request is malformed')
    }
  })
  await app.register(cors, {
    origin: config.CORS_ORIGINS.includes('*') ? '*' : config.CORS_ORIGINS,
    credentials: config.CORS_CREDENTIALS,
    exposedHeaders: ['x-request-id', 'location', 'retry-after'],
    strictPreflight: false,
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    maxAge: 600,
  })
  rejectUnknownRoutes(app)
  app.addHook('onRequest', async (request) => {
    if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
      throw new AppError('unsupported_media_type', 'Send the body without a content coding')
  })
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, actor } = request
    request.log.info(
      {
        method,
        route: routeOptions.url,
        path: pathOf(request).slice(0, loggedPath),
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime * 10) / 10,
        user: actor?.public_id,
        ip: request.ip,
      },
      'request',
    )
  })

  // Who may ask what.
  app.decorateRequest('actor')
  app.decorate('authenticate', (token: string) => services.sessions.authenticate(token))
  const routes: DocumentedRoute[] = []
  app.addHook('onRoute', (route) => {
    if (route.url === '*') return
    if (!guardOf(route.onRequest)) throw new Error(`${String(route.method)} ${route.url} declares no guard`)
    if (route.schema && route.method !== 'HEAD') routes.push(route)
  })

  for (const register of controllers) register(app, services)
  if (config.DOCS_ENABLED) docsController(app, config.APP_NAME, routes)
  // Last: hooks run in the order of their making, and readiness must say no before the wait begins.
  drainOnClose(app, config.SHUTDOWN_TIMEOUT_SECONDS)
  return app
}

const identify = (request: FastifyRequest, reply: FastifyReply) =>
  reply.headers(securityHeaders).header('x-request-id', request.id)
