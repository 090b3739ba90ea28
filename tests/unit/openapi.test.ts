import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { authenticated, can, open, optional, verified } from '../../src/core/http/guards.ts'
import { describeRoutes } from '../../src/core/http/openapi.ts'
import { guardOf, type CollectedRoute } from '../../src/core/http/routes.ts'
import { errorReply, problemReply } from '../../src/schemas/responses.ts'

const thing = z.object({ name: z.string() }).meta({ id: 'Thing' })
const usual = { operationId: 'getThing', summary: 'Get', description: 'Gets.', tags: ['things'] }
const route = (parts: Partial<CollectedRoute> = {}): CollectedRoute => ({
  method: 'GET',
  url: '/things/:public_id',
  onRequest: open,
  schema: { ...usual, response: { 200: thing } },
  ...parts,
})
const describeAll = (...routes: CollectedRoute[]) =>
  describeRoutes(routes, {
    title: 'Things',
    version: '1.2.3',
    description: 'About things.',
    tags: [{ name: 'things', description: 'Things' }],
    errors: { envelope: errorReply, problem: problemReply },
  })

interface Operation {
  security: object[]
  parameters: object[]
  requestBody?: object
  responses: Record<string, { headers?: object }>
}
const operationOf = (parts?: Partial<CollectedRoute>) => {
  const described = route(parts)
  return Object.values(describeAll(described).paths)[0]![String(described.method).toLowerCase()] as Operation
}

test('a document names the service, its version and its licence', () => {
  expect(describeAll(route())).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'Things', version: '1.2.3', description: 'About things.', license: { identifier: 'MIT' } },
    tags: [{ name: 'things' }],
  })
})

test('routes of one path stand together, under their methods', () => {
  const { paths } = describeAll(route(), route({ method: 'DELETE' }), route({ url: '/things' }))
  expect(Object.keys(paths)).toEqual(['/things/{public_id}', '/things'])
  expect(Object.keys(paths['/things/{public_id}']!)).toEqual(['get', 'delete'])
})

test('a schema with a name is told once and referred to', () => {
  const list = z.object({ things: z.array(thing) })
  const { components, paths } = describeAll(
    route(),
    route({ url: '/things', schema: { ...usual, response: { 200: list } } }),
  )
  expect(components.schemas).toMatchObject({ Thing: { type: 'object' }, Error: {}, Problem: {} })
  expect(JSON.stringify(paths)).toContain('"items":{"$ref":"#/components/schemas/Thing"}')
  expect(JSON.stringify({ paths, components })).not.toContain('$defs')
})

describe('who may call an operation is told by its guard', () => {
  test.for([
    ['open', open, []],
    ['optional', optional, [{}, { bearer: [] }]],
    ['authenticated', authenticated, [{ bearer: [] }]],
    ['verified', verified, [{ bearer: [] }]],
    ['can', can('items:write'), [{ bearer: [] }]],
  ] as const)('%s', ([, guard, security]) => {
    expect(operationOf({ onRequest: guard }).security).toEqual(security)
    expect('401' in operationOf({ onRequest: guard }).responses).toBe(guard !== open)
  })

  test('which is the first of the hooks', () => {
    expect(guardOf(open)).toBe(open)
    expect(guardOf([authenticated, open])).toBe(authenticated)
    expect(guardOf(undefined)).toBeUndefined()
  })
})

describe('parameters', () => {
  const params = z.object({ public_id: z.string() })
  const querystring = z.strictObject({
    q: z.string().meta({ description: 'What to look for.' }),
    page: z.string().optional(),
  })

  test('of the path are required, of the query as their schema says', () => {
    expect(operationOf({ schema: { ...usual, params, querystring, response: { 200: thing } } }).parameters).toEqual([
      { name: 'public_id', in: 'path', required: true, schema: { type: 'string' } },
      { name: 'q', in: 'query', required: true, description: 'What to look for.', schema: { type: 'string' } },
      { name: 'page', in: 'query', required: false, schema: { type: 'string' } },
    ])
  })

  test('there may be none', () => {
    expect(operationOf()).toMatchObject({ parameters: [] })
    expect(operationOf()).not.toHaveProperty('requestBody')
  })
})

describe('the errors of an operation follow from its parts', () => {
  const errors = (schema: object, config = {}) =>
    Object.keys(
      operationOf({ onRequest: open, config, schema: { ...usual, response: { 200: thing }, ...schema } }).responses,
    )

  test.for<[string, object, string[]]>([
    ['every operation', {}, ['200', '400', '429', '500', '503']],
    ['one with a path', { params: z.object({ public_id: z.string() }) }, ['200', '400', '404', '429', '500', '503']],
    ['one with a body', { body: thing }, ['200', '400', '413', '415', '429', '500', '503']],
    ['one that says so', { errors: ['conflict', 'forbidden'] }, ['200', '400', '403', '409', '429', '500', '503']],
  ])('%s', ([, schema, statuses]) => {
    expect(errors(schema)).toEqual(statuses)
  })

  test('one without a rate limit', () => {
    expect(errors({}, { rateLimit: false })).toEqual(['200', '400', '500', '503'])
  })

  test('each is told once, in both forms and with its headers', () => {
    const { components } = describeAll(route({ onRequest: authenticated }))
    expect(components.responses).toMatchObject({
      BadRequest: {
        description: 'Bad Request: `validation_error`, `invalid_json`, `bad_request`',
        content: {
          'application/json': { schema: { $ref: '#/components/schemas/Error' } },
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        },
      },
      Unauthorized: { headers: { 'WWW-Authenticate': { $ref: '#/components/headers/WwwAuthenticate' } } },
      ServiceUnavailable: { headers: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } } },
    })
  })
})

describe('of what has versions', () => {
  const versioned = { ...usual, versioned: true, response: { 200: thing } }
  const told = (method: string, schema: object = versioned) => {
    const { parameters, responses } = operationOf({ method, schema })
    const [success, unchanged, stale] = [responses['200'] ?? responses['201'], responses['304'], responses['412']]
    return { parameters, isTagged: 'ETag' in success!.headers!, unchanged, stale }
  }

  test('a read may be spared, with the tag and without a body', () => {
    const { parameters, isTagged, unchanged, stale } = told('GET')
    expect(parameters).toEqual([{ $ref: '#/components/parameters/IfNoneMatch' }])
    expect([isTagged, stale]).toEqual([true, undefined])
    expect(unchanged).toMatchObject({ description: 'Not Modified', headers: { ETag: {}, RateLimit: {} } })
    expect(unchanged).not.toHaveProperty('content')
  })

  test('a change may have to start from a version, and a deletion, which leaves no tag', () => {
    const [changing, deleting] = [told('PATCH'), told('DELETE')]
    expect([changing.isTagged, deleting.isTagged]).toEqual([true, false])
    for (const { parameters, unchanged, stale } of [changing, deleting]) {
      expect(parameters).toEqual([{ $ref: '#/components/parameters/IfMatch' }])
      expect([unchanged, stale]).toEqual([undefined, { $ref: '#/components/responses/PreconditionFailed' }])
    }
  })

  test('what is made has a tag and no condition, and other resources have neither', () => {
    const none = { parameters: [], unchanged: undefined, stale: undefined }
    const made = told('POST', { ...versioned, response: { 201: thing } })
    const parameters = [{ $ref: '#/components/parameters/IdempotencyKey' }]
    expect(made).toEqual({ ...none, parameters, isTagged: true })
    for (const method of ['GET', 'PATCH', 'DELETE'])
      expect(told(method, { ...versioned, versioned: false })).toEqual({ ...none, isTagged: false })
  })

  test('a POST may be sent again under a key, and says what may come of it', () => {
    const { responses } = operationOf({ method: 'POST', schema: versioned })
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(['409', '422']))
    expect(responses['200']!.headers).toHaveProperty('Idempotency-Replayed')
    expect(operationOf({ method: 'PATCH', schema: versioned }).responses).not.toHaveProperty('422')
  })

  test('the headers and parameters that operations refer to are there', () => {
    const { components, paths } = describeAll(
      ...['GET', 'POST', 'PATCH', 'DELETE'].map((method) => route({ method, schema: versioned })),
    )
    for (const [, kind, name] of JSON.stringify(paths).matchAll(/#\/components\/(headers|parameters)\/(\w+)/g))
      expect(components[kind as 'headers' | 'parameters']).toHaveProperty(name!)
  })
})

test('what is made is told with its address', () => {
  const { responses } = operationOf({ method: 'POST', schema: { ...usual, body: thing, response: { 201: thing } } })
  expect(responses['201']!.headers).toHaveProperty('Location')
  expect(operationOf().responses['200']!.headers).not.toHaveProperty('Location')
})
