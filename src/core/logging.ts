import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { pino, type DestinationStream, type Logger } from 'pino'
import type { Config } from './config.ts'
import { addressOf } from './http/client.ts'
import { pathOf } from './http/responses.ts'

/** Characters of a path that are logged: enough for every route, too few for filling a disk. */
const loggedPath = 500

/** Fields whose values are never written, at any depth: ours, and as headers and libraries spell them. */
const credential =
  '(?:old_?|new_?)?password(?:_?hash)?|(?:access|refresh)_?token|(?:proxy-)?authorization|(?:set-)?cookie'
const isCredential = new RegExp(`^(?:${credential})$`, 'i')

/** Such a field in a line of JSON, or in a text there that is JSON itself. */
const credentialField = new RegExp(String.raw`"(?:${credential})\\?"\s*:`, 'i')

/** Such a field of a text that is JSON, cut off or not. */
const credentialInText = new RegExp(String.raw`("(?:${credential})"\s*:\s*)(?:"(?:[^"\\]|\\.)*"?|[^\s",\]}]+)`, 'gi')

/** Credentials by their form, for those inside a message or a stack: JWTs, refresh tokens, hashes, passwords in URLs. */
const credentialForms =
  /eyJ[\w-]+\.[\w-]+\.[\w-]*|r1\.[\w-]{8}\.[\w-]+\.\d+\.[\w-]+|\$argon2\w*\$[^\s"\\]+|(?<=:\/\/[^\s:/@"]*:)[^\s/@"]+(?=@)/g

/** What JSON need not escape, and terminals and other readers act on: C1 controls and Unicode's line ends. */
const controls = /[\u007F-\u009F\u2028\u2029]/g

/**
 * JSON lines in production, readable lines in development. Times are UTC. Whatever looks like a
 * credential is replaced as the last step before writing.
 * @param destination where to, instead of standard output
 */
export async function createLogger(
  config: Pick<Config, 'NODE_ENV' | 'LOG_LEVEL'>,
  destination?: DestinationStream,
): Promise<Logger> {
  return pino(
    {
      level: config.LOG_LEVEL,
      base: undefined,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: withoutDetails },
      hooks: {
        // Pino's own `redact` looks up every path for every line, and for every request's own logger.
        streamWrite: (line) =>
          (credentialField.test(line) ? withoutCredentials(line) : line)
            .replaceAll(credentialForms, '[Redacted]')
            .replaceAll(controls, (letter) => `\\u${letter.codePointAt(0)!.toString(16).padStart(4, '0')}`),
      },
    },
    destination ?? (await standardOutput(config)),
  )
}

/** A line with whatever stands under such names replaced: texts, objects and lists. */
const withoutCredentials = (line: string) => `${JSON.stringify(JSON.parse(line), redact)}\n`

function redact(name: string, value: unknown): unknown {
  if (isCredential.test(name)) return '[Redacted]'
  return typeof value === 'string' ? value.replaceAll(credentialInText, '$1"[Redacted]"') : value
}

/** What went wrong and where. A driver's error also quotes the row at fault (PostgreSQL's "detail"), which is nobody's business. */
function withoutDetails(error: Error) {
  const { type, message, stack, code } = pino.stdSerializers.err(error) as Record<string, unknown>
  return { type, code, message, stack }
}

async function standardOutput({ NODE_ENV }: Pick<Config, 'NODE_ENV'>): Promise<DestinationStream> {
  if (NODE_ENV === 'production') return pino.destination(1)
  const { default: pretty } = await import('pino-pretty')
  return pretty({ sync: true, translateTime: 'HH:MM:ss', singleLine: true })
}

/** Writes one line for each request, when its answer has gone. */
export function logRequests(app: FastifyInstance): void {
  app.addHook('onResponse', (request, reply, done) => {
    logRequest(request, reply)
    done()
  })
}

/** The path has no query, which may hold what should not be kept. */
export function logRequest(request: FastifyRequest, reply: FastifyReply): void {
  const { log, method, routeOptions, caller } = request
  const path = pathOf(request).slice(0, loggedPath)
  const duration_ms = Math.round(reply.elapsedTime * 10) / 10
  log.info(
    {
      method,
      route: routeOptions.url,
      path,
      status: reply.statusCode,
      duration_ms,
      user: caller?.public_id,
      ip: addressOf(request),
    },
    'request',
  )
}
