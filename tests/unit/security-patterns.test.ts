import type { IncomingMessage } from 'node:http'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { ValidationError } from '../../src/core/errors.ts'
import { authenticated } from '../../src/core/http/guards.ts'
import { parseQuery, refuseDoubtfulFraming, rejectUnknownRoutes, requestId } from '../../src/core/http/requests.ts'
import { handleError } from '../../src/core/http/responses.ts'
import { refuseStrayInput } from '../../src/core/http/validation.ts'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import { createRefreshTokens } from '../../src/core/security/refresh-tokens.ts'
import { pageParameters, text, time, trimmed, uuid } from '../../src/schemas/mixins.ts'
import { email } from '../../src/schemas/user.schema.ts'
import { settings } from '../support/settings.ts'

/** Longer than a request can be: where the work grows with the square of it, it takes minutes. */
const length = 200_000
/** Milliseconds. Otherwise it takes a few. */
const patience = 3000

/** What makes bad patterns try again and again: a long run, and then something that does not fit. */
const runs = [
  '[',
  ' ',
  '.',
  ',',
  ';',
  '-',
  '0',
  'a',
  '\u00E9',
  '%',
  '&',
  '=',
  '/',
  '#',
  ':',
  '@',
  '"',
  '[]',
  '; ',
  ';q=0.0',
  'a.',
  'a@',
]
const hostile = (beginning: string, end: string) => runs.map((run) => beginning + run.repeat(length / run.length) + end)

/** Runs it to its end, or until it has taken far too long: a pattern holds the whole process, timers included. */
function isEndless(work: () => unknown): boolean {
  try {
    runInNewContext('work()', { work }, { timeout: patience })
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT'
  }
}

type Hook = (request: object, reply: object) => Promise<unknown>
/** The hooks that something adds, by their names. */
function hooksOf(add: (app: FastifyInstance) => void): Record<string, Hook> {
  const hooks: Record<string, Hook> = {}
  add({ addHook: (name: string, hook: Hook) => void (hooks[name] = hook) } as unknown as FastifyInstance)
  return hooks
}
/** They reject at once, or not at all. */
const settle = (promise: Promise<unknown>) => void promise.catch(() => {})

const reply = (): FastifyReply => {
  const chain: Record<string, () => unknown> = { getHeader: () => undefined }
  for (const name of ['code', 'headers', 'header', 'type', 'send']) chain[name] = () => chain
  return chain as unknown as FastifyReply
}
const framing = hooksOf(refuseDoubtfulFraming)
const routes = hooksOf(rejectUnknownRoutes)
for (const url of ['/api/v1/items', '/api/v1/items/:public_id', '/api/docs/assets/*'])
  settle(Promise.resolve(routes['onRoute']!({ url, method: 'GET' }, {})))
const stray = hooksOf(refuseStrayInput)
const accessTokens = createAccessTokens(settings())
const refreshTokens = createRefreshTokens(settings())
const parse = (schema: z.ZodType) => (value: string) => schema.safeParse(value)

/** Where a pattern meets what a client sends, with how good values begin there. */
const places: [name: string, work: (value: string) => unknown, beginning?: string][] = [
  ['a request id', (value) => requestId({ headers: { 'x-request-id': value } } as unknown as IncomingMessage)],
  [
    'an Authorization header',
    (authorization) => settle(authenticated({ headers: { authorization }, server: {} } as unknown as FastifyRequest)),
    'Bearer ',
  ],
  [
    'an Accept header',
    (accept) =>
      handleError(
        new ValidationError([]),
        { headers: { accept }, url: '/', id: '' } as unknown as FastifyRequest,
        reply(),
      ),
    'application/problem+json',
  ],
  [
    'a Transfer-Encoding header',
    (value) => {
      const raw = { rawHeaders: ['host', value], httpVersion: '1.1', headers: { 'transfer-encoding': value } }
      settle(framing['onRequest']!({ raw }, reply()))
    },
    'chunked',
  ],
  [
    'a path',
    (path) => settle(routes['onRequest']!({ is404: true, method: 'GET', url: path }, reply())),
    '/api/v1/items/',
  ],
  [
    'a path with a host',
    (path) => settle(routes['onRequest']!({ is404: true, method: 'GET', url: path }, reply())),
    'http://',
  ],
  ['a query', parseQuery, 'a=1&'],
  [
    'the name of a parameter',
    (name) => settle(stray['preValidation']!({ query: { [name]: '' }, body: undefined, routeOptions: {} }, {})),
    'page',
  ],
  ['an access token', (value) => accessTokens.verify(value), 'eyJ'],
  ['a refresh token', (value) => refreshTokens.verify(value), 'r1.'],
  ['an e-mail', parse(email), 'ada@example.'],
  ['an id', parse(uuid), 'f47ac10b-'],
  ['a time', parse(time), '2026-01-01T'],
  ['a number of a page', parse(pageParameters.page), '1'],
  ['a text', parse(text(0, length * 2)), 'a'],
  ['a name', parse(trimmed(1, 100)), 'a'],
]

describe('no input makes a pattern slow (ASVS 1.3.12)', () => {
  test.for(places)('in %s', { timeout: 30_000 }, ([, work, beginning = '']) => {
    const endless = ['', beginning]
      .flatMap((start) => [...hostile(start, ''), ...hostile(start, '!')])
      .find((value) => isEndless(() => work(value)))
    expect(endless?.slice(0, 50)).toBeUndefined()
  })
})
