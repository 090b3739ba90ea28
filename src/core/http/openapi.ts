import { STATUS_CODES } from 'node:http'
import type { FastifySchema } from 'fastify'
import type { z } from 'zod'
import type { ErrorCode } from '../errors.ts'
import { guardErrors, open, optional } from './guards.ts'
import {
  errorHeadersOf,
  headerParametersOf,
  headersOfDocument,
  isLimited,
  sparesUnchanged,
  successHeadersOf,
  takesIdempotencyKey,
  takesIfMatch,
} from './openapi-headers.ts'
import { statusOf } from './responses.ts'
import { guardOf, type CollectedRoute } from './routes.ts'
import { toJsonSchema } from './validation.ts'

interface DocumentInfo {
  title: string
  version: string
  description: string
  /** What is known of the groups of operations; a group without a word is listed by its name. */
  tags: { name: string; description: string }[]
  /** The two forms of every error. */
  errors: { envelope: z.ZodType; problem: z.ZodType }
}

type Json = Record<string, unknown>

/**
 * Makes the OpenAPI 3.1 document from the routes themselves: their schemas, guards and errors. What
 * validates a request is what describes it, so the two cannot differ.
 */
export function describeRoutes(collected: readonly CollectedRoute[], { errors, tags, ...info }: DocumentInfo) {
  const routes = collected.filter(({ schema }) => schema)
  const schemas: Json = {}

  /** Zod refers to schemas that have a name; what it refers to becomes a component. */
  const schemaOf = (schema: z.ZodType, io: 'input' | 'output'): Json => {
    const { $defs = {}, ...root } = pointToComponents(toJsonSchema(schema, io)) as Json & { $defs?: Json }
    Object.assign(schemas, $defs)
    return root
  }

  const parametersOf = (place: 'path' | 'query', schema: unknown) => {
    if (!schema) return []
    const { properties = {}, required = [] } = schemaOf(schema as z.ZodType, 'input') as {
      properties?: Record<string, Json>
      required?: string[]
    }
    return Object.entries(properties).map(([name, { description, ...property }]) => ({
      name,
      in: place,
      required: place === 'path' || required.includes(name),
      ...(description !== undefined && { description }),
      schema: property,
    }))
  }

  const operationOf = (route: CollectedRoute) => {
    const { schema = {}, onRequest } = route
    const guard = guardOf(onRequest)
    return {
      operationId: schema.operationId,
      summary: schema.summary,
      description: schema.description,
      tags: schema.tags,
      security: guard === open ? [] : guard === optional ? [{}, { bearer: [] }] : [{ bearer: [] }],
      parameters: [
        ...parametersOf('path', schema.params),
        ...parametersOf('query', schema.querystring),
        ...headerParametersOf(route),
      ],
      ...(schema.body !== undefined && {
        requestBody: {
          required: true,
          content: { 'application/json': { schema: schemaOf(schema.body as z.ZodType, 'input') } },
        },
      }),
      responses: {
        ...successesOf(route),
        ...(sparesUnchanged(route) && { 304: emptyReply(route, '304') }),
        ...Object.fromEntries(
          errorsOf(route).map((status) => [status, { $ref: `#/components/responses/${errorName(status)}` }]),
        ),
      },
    }
  }

  const successesOf = (route: CollectedRoute) => {
    const { response, media = 'application/json' }: FastifySchema = route.schema ?? {}
    return Object.fromEntries(
      Object.entries(response as Record<string, z.ZodType>).map(([status, schema]) => [
        status,
        { ...emptyReply(route, status), content: { [media]: { schema: schemaOf(schema, 'output') } } },
      ]),
    )
  }

  const errorResponse = (status: number) => ({
    description: `${STATUS_CODES[status]}: ${codesOf(status)
      .map((code) => `\`${code}\``)
      .join(', ')}`,
    headers: errorHeadersOf(status),
    content: {
      'application/json': { schema: schemaOf(errors.envelope, 'output') },
      'application/problem+json': { schema: schemaOf(errors.problem, 'output') },
    },
  })

  const paths: Record<string, Json> = {}
  const statuses = new Set<number>()
  for (const route of routes) {
    const path = (paths[route.url.replaceAll(/:(\w+)/g, '{$1}')] ??= {})
    path[String(route.method).toLowerCase()] = operationOf(route)
    for (const status of errorsOf(route)) statuses.add(status)
  }

  return {
    openapi: '3.1.0',
    info: { ...info, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/', description: 'This server' }],
    tags: tagsOf(routes).map((name) => tags.find((tag) => tag.name === name) ?? { name }),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'The access token.' },
      },
      ...headersOfDocument,
      responses: Object.fromEntries(
        [...statuses].toSorted((a, b) => a - b).map((status) => [errorName(status), errorResponse(status)]),
      ),
      schemas,
    },
  }
}

const tagsOf = (routes: CollectedRoute[]) => [...new Set(routes.flatMap(({ schema }) => schema?.tags ?? []))]

/** A reply without its content. */
const emptyReply = (route: CollectedRoute, status: string) => ({
  description: STATUS_CODES[status],
  headers: successHeadersOf(route, status),
})

function errorsOf(route: CollectedRoute): number[] {
  const { body, params, errors = [] }: FastifySchema = route.schema ?? {}
  const guard = guardOf(route.onRequest)
  const codes: ErrorCode[] = [
    ...errors,
    'bad_request',
    'internal_error',
    'unavailable',
    ...(guard ? guardErrors(guard) : []),
    ...(isLimited(route) ? (['too_many_requests'] as const) : []),
    ...(takesIfMatch(route) ? (['precondition_failed'] as const) : []),
    ...(takesIdempotencyKey(route) ? (['idempotency_key_in_use', 'idempotency_key_reused'] as const) : []),
    ...(params === undefined ? [] : (['not_found'] as const)),
    ...(route.method === 'GET' && body === undefined ? [] : (['payload_too_large', 'unsupported_media_type'] as const)),
  ]
  return [...new Set(codes.map((code) => statusOf[code]))].toSorted((a, b) => a - b)
}

const codesOf = (status: number) =>
  Object.entries(statusOf)
    .filter(([, itsStatus]) => itsStatus === status)
    .map(([code]) => code)

const errorName = (status: number) => STATUS_CODES[status]!.replaceAll(/\W/g, '')

const pointToComponents = (schema: unknown): unknown =>
  JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/'))
