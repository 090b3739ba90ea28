import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { Config } from '../config.ts'
import { UnavailableError } from '../errors.ts'
import { isDoubtfullyFramed, requestId, securityHeaders } from './requests.ts'
import { failure, statusOf } from './responses.ts'

/** Answered under any load: a server that is restarted because it is busy makes the others busier. */
const probes = /^\/health([/?]|$)/

/**
 * Answers requests with 503 while the server has more than it can carry, so that the others are still answered soon.
 * It stands before the application: the cheaper a refusal, the more is left for the others. As a hook that throws it
 * took two thirds of the processor time of a whole GET, so that twice the load left next to nothing; here it takes
 * about a seventh. So it has one form, no headers of CORS, and no line of its own in the log: that it begins and that
 * it is over is told.
 *
 * @param databaseDelay milliseconds that whoever is next for a connection to the database has waited
 */
export function shedOverload(
  app: FastifyInstance,
  { OVERLOAD_DELAY_MS }: Pick<Config, 'OVERLOAD_DELAY_MS'>,
  databaseDelay: () => number,
  log: FastifyBaseLogger,
): void {
  if (OVERLOAD_DELAY_MS === 0) return
  const isTooMuch = watchWaits(OVERLOAD_DELAY_MS, databaseDelay, log)
  const { server } = app
  const application = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[]
  server.removeAllListeners('request')
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (isTooMuch() && !probes.test(request.url ?? '')) refuse(request, response, app.isStopping)
    else for (const handle of application) handle(request, response)
  })
}

/** @param isLast whether the client is to go elsewhere: this server is stopping */
function refuse(request: IncomingMessage, response: ServerResponse, isLast: boolean): void {
  const id = requestId(request)
  // Not all at the same moment again.
  const retryAfter = 1 + Math.floor(Math.random() * 3)
  response.writeHead(statusOf.unavailable, {
    ...securityHeaders,
    'content-type': 'application/json; charset=utf-8',
    'retry-after': String(retryAfter),
    'x-request-id': id,
    // A body that is still on its way is not worth reading, and what follows a doubtful request not to be trusted.
    ...((isLast || (!request.complete && hasBody(request)) || isDoubtfullyFramed(request)) && { connection: 'close' }),
  })
  response.end(JSON.stringify(failure(busy, id)))
}

/** Made once: the stack of an error costs more than the rest of a refusal. */
const busy = new UnavailableError('The server is busy')

const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/**
 * Requests wait in two places: for a turn of the event loop, in the socket buffers, and for a connection to the
 * database. How long the present turn has lasted is about how long the request just read has waited, and at least half
 * of it: a turn takes what came during the last one. As CoDel (RFC 8289) has it, one long wait is a burst, a garbage
 * collection or a cold start, and does no harm; only when each turn has had one for an interval is there a queue that
 * will not go away. Then those who have waited too long are refused, and the rest keeps the server as busy as it can be.
 */
function watchWaits(target: number, databaseDelay: () => number, log: FastifyBaseLogger): () => boolean {
  const interval = target * 10
  /** When the present turn read its first request, and whether one in it has waited long. */
  let turn: number | undefined
  let isLong = false
  /** When waits became long, and when the latest long one was. */
  let since = 0
  let latest = -Infinity
  let shed = 0

  const endTurn = () => {
    turn = undefined
    // While it sheds, waits are short by its own doing.
    if (!isLong && shed === 0) latest = -Infinity
  }

  return () => {
    const now = performance.now()
    if (turn === undefined) {
      turn = now
      isLong = false
      setImmediate(endTurn)
    }
    if (shed > 0 && now - latest > interval) {
      log.warn({ shed }, 'no longer overloaded')
      shed = 0
    }
    if (Math.max(now - turn, databaseDelay()) <= target) return false
    if (now - latest > interval) since = now
    isLong = true
    latest = now
    // Counted to the beginning of this turn: one that is long in itself, for a burst, is no queue.
    if (turn - since < interval) return false
    if (shed++ === 0) log.warn('overloaded: requests are refused')
    return true
  }
}
