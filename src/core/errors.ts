/** Every error a client can meet. `core/http/responses.ts` says which HTTP status each one has. */
export type ErrorCode =
  | 'validation_error'
  | 'invalid_json'
  | 'bad_request'
  | 'unauthorized'
  | 'invalid_token'
  | 'token_expired'
  | 'invalid_credentials'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'conflict'
  | 'precondition_failed'
  | 'idempotency_key_in_use'
  | 'idempotency_key_reused'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'expectation_failed'
  | 'too_many_requests'
  | 'headers_too_large'
  | 'internal_error'
  | 'unavailable'

/** A field at fault: a dotted path and what is wrong with it, never its value. */
export interface FieldError {
  field: string
  message: string
}

/**
 * What went wrong, told without HTTP: services throw it for requests, commands and jobs alike.
 * The message is meant for the client.
 */
export class AppError extends Error {
  override name = 'AppError'
  readonly code: ErrorCode
  readonly errors: FieldError[] | undefined
  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { errors?: FieldError[] }) {
    super(message, options)
    this.code = code
    this.errors = options?.errors
  }
}

export class ValidationError extends AppError {
  constructor(errors: FieldError[]) {
    super('validation_error', 'The request is not valid', { errors })
  }
}

export class NotFoundError extends AppError {
  constructor(message = 'Not found') {
    super('not_found', message)
  }
}

export class ConflictError extends AppError {
  constructor(field: string, message: string, options?: ErrorOptions) {
    super('conflict', message, { ...options, errors: [{ field, message }] })
  }
}

export class ForbiddenError extends AppError {
  constructor(message = 'You are not allowed to do this') {
    super('forbidden', message)
  }
}

/** It has been changed since the client read it. */
export class PreconditionFailedError extends AppError {
  constructor(message = 'It was changed meanwhile: read it again') {
    super('precondition_failed', message)
  }
}

/** Who is asking is not known. */
export class UnauthorizedError extends AppError {
  constructor(code: 'unauthorized' | 'invalid_token' | 'token_expired' | 'invalid_credentials', message: string) {
    super(code, message)
  }
}

export class MethodNotAllowedError extends AppError {
  readonly allowed: string[]
  constructor(allowed: string[]) {
    super('method_not_allowed', `This path answers ${allowed.join(', ')}`)
    this.allowed = allowed
  }
}

/** So many requests, in a window of seconds. */
export interface RateLimitPolicy {
  name: string
  quota: number
  window: number
}

/** Too many requests; the next is heard after `retryAfter` seconds. */
export class TooManyRequestsError extends AppError {
  readonly retryAfter: number
  readonly policy: RateLimitPolicy
  constructor(retryAfter: number, policy: RateLimitPolicy) {
    super('too_many_requests', 'Too many requests: try again later')
    this.retryAfter = retryAfter
    this.policy = policy
  }
}

/** The request that came first under this key is not done yet. */
export class KeyInUseError extends AppError {
  readonly retryAfter = 1
  constructor() {
    super('idempotency_key_in_use', 'A request with this Idempotency-Key is being done: ask again for its answer')
  }
}

/** The key belongs to another request. */
export class KeyReusedError extends AppError {
  constructor() {
    super('idempotency_key_reused', 'This Idempotency-Key was sent with another request: make a new one for each')
  }
}

/** The server cannot do it now; the same request may succeed after `retryAfter` seconds. */
export class UnavailableError extends AppError {
  readonly retryAfter: number
  constructor(message = 'The service is not available right now', options?: ErrorOptions & { retryAfter?: number }) {
    super('unavailable', message, options)
    this.retryAfter = options?.retryAfter ?? 1
  }
}
