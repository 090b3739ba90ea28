import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import {
  AppError,
  KeyInUseError,
  MethodNotAllowedError,
  TooManyRequestsError,
  UnauthorizedError,
  UnavailableError,
  type ErrorCode,
  type RateLimitPolicy,
} from '../errors.ts'

/** The one place that says how HTTP tells an error. */
export const statusOf: Record<ErrorCode, number> = {
  validation_error: 400,
  invalid_json: 400,
  bad_request: 400,
  unauthorized: 401,
  invalid_token: 401,
  token_expired: 401,
  invalid_credentials: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  idempotency_key_in_use: 409,
  precondition_failed: 412,
  payload_too_large: 413,
  unsupported_media_type: 415,
  expectation_failed: 417,
  idempotency_key_reused: 422,
  too_many_requests: 429,
  headers_too_large: 431,
  internal_error: 500,
  unavailable: 503,
}

const malformed: [ErrorCode, string] = ['bad_request', 'The request is malformed']
const unexpected: [ErrorCode, string] = ['internal_error', 'An unexpected error occurred']

/** What Fastify itself refuses, by its status. */
const frameworkErrors: Record<number, [ErrorCode, string]> = {
  404: ['not_found', 'Not found'],
  408: ['request_timeout', 'The request took too long to arrive'],
  413: ['payload_too_large', 'The body is larger than 1 MiB'],
  415: ['unsupported_media_type', 'The body must be sent as application/json, without a content coding'],
  431: ['headers_too_large', 'The headers are too large'],
  503: ['unavailable', 'The service is not available right now'],
}

/** The time now, written once for all who ask in the same millisecond: it is the dearest part of a small answer. */
function timestamp(): string {
  const now = Date.now()
  if (now !== latest.time) latest = { time: now, text: new Date(now).toISOString() }
  return latest.text
}
let latest = { time: 0, text: '' }

/** The envelope of every success. */
export const success = <T>(data: T) => ({ success: true as const, data, timestamp: timestamp() })

/** Answers 201 with the address of what was made. */
export function created<T>(reply: FastifyReply, location: string, data: T) {
  reply.code(201).header('location', location)
  return success(data)
}

/** The envelope of every error. */
export const failure = ({ message, code, errors }: AppError, requestId: string) => ({
  success: false as const,
  message,
  code,
  ...(errors && { errors }),
  request_id: requestId,
  timestamp: timestamp(),
})

/** Renders every error, whoever raised it. What is not an `AppError` is a bug: it is logged whole and told as nothing. */
export function handleError(thrown: FastifyError | AppError, request: FastifyRequest, reply: FastifyReply) {
  const error = asAppError(thrown)
  const status = statusOf[error.code]
  logError(thrown, error, request)

  reply
    .code(status)
    .headers({ 'cache-control': 'no-store', ...headersOf(error) })
    .header('vary', varyByAccept(reply))
  const body = failure(error, request.id)
  if (!wantsProblem(request)) return reply.type('application/json; charset=utf-8').send(JSON.stringify(body))
  const { message, code, errors, request_id } = body
  const title = STATUS_CODES[status]
  const problem = {
    type: 'about:blank',
    title,
    status,
    detail: message,
    instance: pathOf(request),
    code,
    errors,
    request_id,
  }
  return reply.type('application/problem+json; charset=utf-8').send(JSON.stringify(problem))
}

function asAppError(error: FastifyError | AppError): AppError {
  if (error instanceof AppError) return error
  // The client went away in the middle of its body.
  if (error.code === 'ECONNRESET') return new AppError(...malformed)
  const status = error.code?.startsWith('FST_') ? (error.statusCode ?? 500) : 500
  return new AppError(...(frameworkErrors[status] ?? (status < 500 ? malformed : unexpected)))
}

function logError(thrown: Error, error: AppError, { log }: FastifyRequest): void {
  if (error instanceof UnavailableError) log.warn({ cause: (error.cause as Error | undefined)?.message }, error.message)
  else if (error.code === 'internal_error') log.error({ err: thrown }, 'request failed')
}

/** How much of a quota is left, as draft-ietf-httpapi-ratelimit-headers has it. `seconds`: until there is all of it again. */
export const rateLimitHeaders = ({ name, quota, window }: RateLimitPolicy, left: number, seconds: number) => ({
  'ratelimit-policy': `"${name}";q=${quota};w=${window}`,
  ratelimit: `"${name}";r=${left};t=${seconds}`,
})

/** What an error says in headers. */
function headersOf(error: AppError): Record<string, string> {
  if (error instanceof UnauthorizedError) return { 'www-authenticate': challenge(error) }
  if (error instanceof MethodNotAllowedError) return { allow: error.allowed.join(', ') }
  if (error instanceof UnavailableError || error instanceof KeyInUseError)
    return { 'retry-after': String(error.retryAfter) }
  if (!(error instanceof TooManyRequestsError)) return {}
  const { retryAfter, policy } = error
  return { 'retry-after': String(retryAfter), ...rateLimitHeaders(policy, 0, retryAfter) }
}

/** The form of an error depends on `Accept`; CORS may have named `Origin` already. */
const varyByAccept = (reply: FastifyReply) => [reply.getHeader('vary'), 'Accept'].flat().filter(Boolean).join(', ')

/** RFC 6750 §3.1: no `error` where no token was sent. */
function challenge({ code, message }: UnauthorizedError): string {
  const fault =
    code === 'invalid_token' || code === 'token_expired'
      ? `, error="invalid_token", error_description="${message}"`
      : ''
  return `Bearer realm="api"${fault}`
}

/** RFC 9457, for clients that name its media type; `q=0` means "not that". */
const wantsProblem = ({ headers }: FastifyRequest) =>
  (headers.accept ?? '')
    .split(',')
    .some((range) => /^\s*application\/problem\+json\s*(;|$)/i.test(range) && !/;\s*q=0(\.0*)?\s*(;|$)/i.test(range))

/** The path without the query, which may hold what should not be told on. */
export function pathOf({ url }: FastifyRequest): string {
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}
