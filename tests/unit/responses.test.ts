import { STATUS_CODES } from 'node:http'
import fastify, { errorCodes, type FastifyError } from 'fastify'
import { describe, expect, test } from 'vitest'
import {
  type AppError,
  ConflictError,
  ForbiddenError,
  MethodNotAllowedError,
  NotFoundError,
  PreconditionFailedError,
  UnauthorizedError,
  UnavailableError,
  ValidationError,
} from '../../src/core/errors.ts'
import { handleError, statusOf, success } from '../../src/core/http/responses.ts'

/** Lets a route throw, and gives what the client sees. */
async function answerTo(error: unknown, headers: Record<string, string> = {}) {
  const app = fastify()
  app.setErrorHandler<FastifyError>(handleError)
  app.get('/thing', () => {
    throw error
  })
  const reply = await app.inject({ url: '/thing?canary=1', headers })
  await app.close()
  return { status: reply.statusCode, headers: reply.headers, text: reply.body, body: reply.json() }
}

test('every code has a status that HTTP knows', () => {
  for (const status of Object.values(statusOf)) expect(STATUS_CODES[status]).toBeDefined()
})

test('a success wraps its data', () => {
  expect(success([1])).toEqual({ success: true, data: [1], timestamp: expect.stringMatching(/^\d{4}-.+Z$/) })
})

describe('an error is told by its status, code and message', () => {
  test.for<[number, string, AppError]>([
    [400, 'validation_error', new ValidationError([{ field: 'a', message: 'b' }])],
    [403, 'forbidden', new ForbiddenError()],
    [404, 'not_found', new NotFoundError()],
    [405, 'method_not_allowed', new MethodNotAllowedError(['GET'])],
    [409, 'conflict', new ConflictError('email', 'taken')],
    [412, 'precondition_failed', new PreconditionFailedError()],
    [503, 'unavailable', new UnavailableError()],
  ])('%i %s', async ([status, code, error]) => {
    const reply = await answerTo(error)
    expect(reply).toMatchObject({ status, headers: { 'cache-control': 'no-store' } })
    expect(reply.body).toEqual({
      success: false,
      message: error.message,
      code,
      ...(error.errors && { errors: error.errors }),
      request_id: expect.any(String),
      timestamp: expect.any(String),
    })
  })

  test('a refused method with what is allowed', async () => {
    expect((await answerTo(new MethodNotAllowedError(['GET', 'HEAD']))).headers.allow).toBe('GET, HEAD')
  })

  test('an overload with when to come back', async () => {
    expect((await answerTo(new UnavailableError())).headers['retry-after']).toBe('1')
    expect((await answerTo(new UnavailableError('busy', { retryAfter: 7 }))).headers['retry-after']).toBe('7')
  })
})

describe('a challenge', () => {
  const challengeTo = async (code: ConstructorParameters<typeof UnauthorizedError>[0]) =>
    (await answerTo(new UnauthorizedError(code, 'why'))).headers['www-authenticate']

  test('blames no token where none was sent', async () => {
    expect(await challengeTo('unauthorized')).toBe('Bearer realm="api"')
    expect(await challengeTo('invalid_credentials')).toBe('Bearer realm="api"')
  })

  test('blames the token that was sent', async () => {
    const blame = 'Bearer realm="api", error="invalid_token", error_description="why"'
    expect(await challengeTo('invalid_token')).toBe(blame)
    expect(await challengeTo('token_expired')).toBe(blame)
  })
})

describe('a bug', () => {
  test.for([new Error('canary'), new TypeError('canary'), Object.assign(new Error('canary'), { statusCode: 404 })])(
    'is told as nothing: %s',
    async (error) => {
      const { status, text, body } = await answerTo(error)
      expect(status).toBe(500)
      expect(body).toMatchObject({ code: 'internal_error', message: 'An unexpected error occurred' })
      expect(text).not.toContain('canary')
    },
  )

  test('may be something other than an error', async () => {
    for (const thrown of ['canary', null, undefined, { message: 'canary' }]) {
      const { status, text } = await answerTo(thrown)
      expect(status).toBe(500)
      expect(text).not.toContain('canary')
    }
  })
})

describe('what Fastify refuses by itself', () => {
  test.for([
    [400, 'bad_request', 'FST_ERR_CTP_INVALID_CONTENT_LENGTH'],
    [400, 'bad_request', 'FST_ERR_BAD_URL'],
    [413, 'payload_too_large', 'FST_ERR_CTP_BODY_TOO_LARGE'],
    [415, 'unsupported_media_type', 'FST_ERR_CTP_INVALID_MEDIA_TYPE'],
    [404, 'not_found', 'FST_ERR_NOT_FOUND'],
    [500, 'internal_error', 'FST_ERR_REP_INVALID_PAYLOAD_TYPE'],
  ] as const)('is %i %s: %s', async ([status, code, name]) => {
    const error = new errorCodes[name]('canary')
    const reply = await answerTo(error)
    expect(reply).toMatchObject({ status, body: { code } })
    expect(reply.text).not.toContain('canary')
  })

  test('for a reason we do not know is a bad request, if it is the client who is to blame', async () => {
    const error = Object.assign(new Error('canary'), { code: 'FST_ERR_NEW', statusCode: 414 })
    expect(await answerTo(error)).toMatchObject({ status: 400, body: { code: 'bad_request' } })
  })
})

describe('problem details as in RFC 9457', () => {
  test.for([
    'application/problem+json',
    'Application/Problem+JSON',
    'text/html, application/problem+json;q=0.5, */*',
    'application/problem+json; q=1.0',
    'application/problem+json;q=0.001',
  ])('come to those who accept them: %s', async (accept) => {
    const { status, headers, body } = await answerTo(new ConflictError('email', 'taken'), { accept })
    expect(status).toBe(409)
    expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(body).toEqual({
      type: 'about:blank',
      title: 'Conflict',
      status: 409,
      detail: 'taken',
      instance: '/thing',
      code: 'conflict',
      errors: [{ field: 'email', message: 'taken' }],
      request_id: expect.any(String),
    })
  })

  test.for([
    '',
    '*/*',
    'application/*',
    'application/json',
    'application/problem+json;q=0',
    'application/problem+json ; q=0.000, application/json',
    'application/problem+json;charset=utf-8;q=0',
    'application/problem+jsonx',
  ])('come to nobody else: %s', async (accept) => {
    const { headers, body } = await answerTo(new NotFoundError(), { accept })
    expect(headers['content-type']).toBe('application/json; charset=utf-8')
    expect(body).toMatchObject({ success: false, code: 'not_found' })
  })
})
