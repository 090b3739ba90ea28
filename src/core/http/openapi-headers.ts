import type { CollectedRoute } from './routes.ts'

// What the document says of headers: those that a route takes, and those that its replies carry.

const headerComponents = {
  RequestId: { description: 'The id of this request, also in the log.', schema: { type: 'string' } },
  Location: { description: 'The address of what was made.', schema: { type: 'string', format: 'uri-reference' } },
  ETag: {
    description: 'The version of the resource (RFC 9110), for `If-Match` and `If-None-Match`.',
    schema: { type: 'string', examples: ['"f47ac10b-58cc-4372-a567-0e02b2c3d479.3"'] },
  },
  IdempotencyReplayed: {
    description: '`true` on an answer that was given before, to the same request under the same `Idempotency-Key`.',
    schema: { type: 'string', enum: ['true'] },
  },
  WwwAuthenticate: { description: 'How to authenticate (RFC 6750).', schema: { type: 'string' } },
  RateLimit: {
    description: 'Requests left, and seconds until there are all of them again (draft-ietf-httpapi-ratelimit-headers).',
    schema: { type: 'string', examples: ['"default";r=599;t=60'] },
  },
  RateLimitPolicy: {
    description: 'So many requests in so many seconds.',
    schema: { type: 'string', examples: ['"default";q=600;w=60'] },
  },
  RetryAfter: { description: 'Seconds to wait before the next try.', schema: { type: 'integer' } },
}

const headerParameters = {
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    description:
      'A text of 1 to 255 visible ASCII characters, made anew for each change, such as a UUID; with or without quotes. The same request under the same key is done once, and gets the same answer again.',
    schema: { type: 'string', examples: ['"8e03978e-40d5-43dd-bc93-6894a57f9324"'] },
  },
  IfMatch: {
    name: 'If-Match',
    in: 'header',
    required: false,
    description: 'The `ETag` of what was read: the change is made only if nobody has made another since; else 412.',
    schema: { type: 'string' },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description: 'The `ETag` of what is there already: if it still holds, the answer is 304, without a body.',
    schema: { type: 'string' },
  },
}

/** The headers that routes and replies refer to. */
export const headersOfDocument = { headers: headerComponents, parameters: headerParameters }

const header = (name: keyof typeof headerComponents) => ({ $ref: `#/components/headers/${name}` })
const parameter = (name: keyof typeof headerParameters) => ({ $ref: `#/components/parameters/${name}` })

export const isLimited = ({ config }: CollectedRoute) => config?.rateLimit !== false

/** Whether it ends in 304 when the client has the present version. */
export const sparesUnchanged = ({ method, schema }: CollectedRoute) => Boolean(schema?.versioned) && method === 'GET'

/** Whether it makes a change in the expected version alone. */
export const takesIfMatch = ({ method, schema }: CollectedRoute) =>
  Boolean(schema?.versioned) && (method === 'PATCH' || method === 'DELETE')

/** Whether what is sent again under the same key is done once. */
export const takesIdempotencyKey = ({ method }: CollectedRoute) => [method].flat().includes('POST')

/** The headers that a route takes, as parameters. */
export const headerParametersOf = (route: CollectedRoute) => [
  ...(takesIdempotencyKey(route) ? [parameter('IdempotencyKey')] : []),
  ...(takesIfMatch(route) ? [parameter('IfMatch')] : []),
  ...(sparesUnchanged(route) ? [parameter('IfNoneMatch')] : []),
]

const rateLimitHeaders = { RateLimit: header('RateLimit'), 'RateLimit-Policy': header('RateLimitPolicy') }

/** The headers of a route's replies with this status, one of success or 304. */
export const successHeadersOf = (route: CollectedRoute, status: string) => ({
  'X-Request-Id': header('RequestId'),
  ...(isLimited(route) && rateLimitHeaders),
  ...(status === '201' && { Location: header('Location') }),
  ...(takesIdempotencyKey(route) && { 'Idempotency-Replayed': header('IdempotencyReplayed') }),
  ...(route.schema?.versioned && route.method !== 'DELETE' && { ETag: header('ETag') }),
})

/** The headers of every error with this status. */
export const errorHeadersOf = (status: number) => ({
  'X-Request-Id': header('RequestId'),
  ...(status === 401 && { 'WWW-Authenticate': header('WwwAuthenticate') }),
  ...(status === 429 && rateLimitHeaders),
  ...([409, 429, 503].includes(status) && { 'Retry-After': header('RetryAfter') }),
})
