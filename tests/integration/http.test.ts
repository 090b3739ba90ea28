import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, expect, test, vi } from 'vitest'
import { securityHeaders } from '../../src/core/http/requests.ts'
import { useApi } from '../support/api.ts'

const items = '/api/v1/items'
const logout = '/api/v1/auth/logout'
const missing = `${items}/00000000-0000-4000-8000-000000000000`
const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const origin = 'https://app.example.com'

const api = useApi('sqlite', { CORS_ORIGINS: `${origin},https://admin.example.com` })

/** For the methods that `fetch` will not send. */
async function ask(method: string, path: string): Promise<IncomingMessage> {
  const request = httpRequest(api.address + path, { method, agent: false }).end()
  const [reply] = (await once(request, 'response')) as [IncomingMessage]
  return reply
}

describe('a reply', () => {
  test('is an envelope with the data and the time', async () => {
    const { headers, body } = await api.get('/health/live')
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(body).toEqual({ success: true, data: { status: 'live' }, timestamp: expect.stringMatching(time) })
  })

  test('of an error says what happened to people and to programs', async () => {
    const { status, headers, body } = await api.get('/nowhere')
    expect(status).toBe(404)
    expect(body).toEqual({
      success: false,
      message: 'Not found',
      code: 'not_found',
      request_id: headers.get('x-request-id'),
      timestamp: expect.stringMatching(time),
    })
  })

  test('carries the security headers and is not cached, error or not', async () => {
    const replies = await Promise.all([
      api.get('/health'),
      api.get('/nowhere'),
      api.get('/api/v1/users/me'),
      api.get(`${items}/%FF`),
      fetch(`${api.address}/health`, { headers: { 'x-large': 'x'.repeat(20_000) } }),
    ])
    expect(replies.map(({ status }) => status)).toEqual([200, 404, 401, 400, 431])
    for (const { headers } of replies)
      expect(Object.fromEntries(headers)).toMatchObject({ ...securityHeaders, 'x-request-id': expect.any(String) })
  })

  test('to HEAD is that to GET without the body', async () => {
    for (const path of ['/health/live', '/api/v1/items', missing]) {
      const [head, get] = await Promise.all([api.request('HEAD', path), api.get(path)])
      expect(head.status).toBe(get.status)
      expect(head.text).toBe('')
      expect(head.headers.get('content-length')).toBe(get.headers.get('content-length'))
    }
  })
})

describe('a fault of the client', () => {
  test('in a field is told by its name, without the value', async () => {
    const { status, text: sent, body } = await api.post(logout, { refresh_token: 7, canary: 'a-secret-value' })
    expect(status).toBe(400)
    expect(body).toMatchObject({
      code: 'validation_error',
      errors: [
        { field: 'refresh_token', message: 'must be a string' },
        { field: 'canary', message: 'is not a known field' },
      ],
    })
    expect(sent).not.toContain('a-secret-value')
  })

  test('in the JSON is invalid_json, and nothing of the body comes back', async () => {
    const { status, text: sent, body } = await api.post(logout, '{"refresh_token": "a-secret-value"')
    expect(status).toBe(400)
    expect(body.code).toBe('invalid_json')
    expect(sent).not.toContain('a-secret-value')
  })

  test('who is not signed in is 401, with a challenge that blames no token', async () => {
    const { status, headers, body } = await api.post(items, { name: 'x' })
    expect(status).toBe(401)
    expect(body.code).toBe('unauthorized')
    expect(headers.get('www-authenticate')).toBe('Bearer realm="api"')
  })

  test('with a bad token is 401, also where no token was needed', async () => {
    const { status, headers, body } = await api.get(items, { token: 'nonsense' })
    expect(status).toBe(401)
    expect(body.code).toBe('invalid_token')
    expect(headers.get('www-authenticate')).toContain('error="invalid_token"')
  })

  test("who changes another's item is 403", async () => {
    const [owner, other] = [await api.account(), await api.account()]
    const { headers } = await api.post(items, { name: 'mine' }, { token: owner.access_token })
    const path = headers.get('location')!
    const { status, body } = await api.patch(path, { name: 'theirs' }, { token: other.access_token })
    expect(status).toBe(403)
    expect(body.code).toBe('forbidden')
    expect((await api.get(path)).body.data.name).toBe('mine')
  })

  test('an e-mail that is in use is 409, naming the field', async () => {
    const { email, password } = await api.account()
    const again = { email, password, first_name: 'A', last_name: 'B' }
    const { status, body } = await api.post('/api/v1/auth/register', again)
    expect(status).toBe(409)
    expect(body).toMatchObject({ code: 'conflict', errors: [{ field: 'email' }] })
  })

  test.for(['/', '/api', '/api/v1/items/', '/api/v1/item', '/API/v1/items', '/api/v2/items'])(
    'the unknown path %s is 404',
    async (path) => {
      expect(await api.get(path)).toMatchObject({ status: 404, body: { code: 'not_found' } })
      expect(await api.post(path, {})).toMatchObject({ status: 404, body: { code: 'not_found' } })
    },
  )

  test.for([
    ['DELETE', items, 'GET, HEAD, POST'],
    ['PUT', missing, 'DELETE, GET, HEAD, PATCH'],
    ['GET', logout, 'POST'],
    ['POST', '/health', 'GET, HEAD'],
    ['PROPFIND', items, 'GET, HEAD, POST'],
    ['TRACE', '/health', 'GET, HEAD'],
    ['QUERY', items, 'GET, HEAD, POST'],
  ] as const)('%s %s is 405 and tells what is allowed', async ([method, path, allowed]) => {
    const reply = await ask(method, path)
    expect(reply.statusCode).toBe(405)
    expect(reply.headers.allow).toBe(allowed)
    expect(JSON.parse(await text(reply))).toMatchObject({ code: 'method_not_allowed' })
  })

  test('is a problem as in RFC 9457 to those who ask for it', async () => {
    const { headers, body } = await api.post(logout, {}, { headers: { accept: 'application/problem+json' } })
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(body).toEqual({
      type: 'about:blank',
      title: 'Bad Request',
      status: 400,
      detail: 'The request is not valid',
      instance: logout,
      code: 'validation_error',
      errors: [{ field: 'refresh_token', message: 'is required' }],
      request_id: headers.get('x-request-id'),
    })
  })
})

describe('a request id', () => {
  test('is taken from the client when it is well formed', async () => {
    const { headers, body } = await api.get('/nowhere', { headers: { 'x-request-id': 'from-a.proxy_1:2' } })
    expect(headers.get('x-request-id')).toBe('from-a.proxy_1:2')
    expect(body.request_id).toBe('from-a.proxy_1:2')
  })

  test.for([undefined, '', 'two words', 'x'.repeat(129), 'a%0d%0aSet-Cookie: b', 'é', '{"a":1}'])(
    'is made anew otherwise: %j',
    async (given) => {
      const { headers } = await api.get('/health', { headers: given === undefined ? {} : { 'x-request-id': given } })
      expect(headers.get('x-request-id')).toMatch(uuid)
    },
  )
})

test('each request leaves one line in the log, without its query', async () => {
  const { access_token: token } = await api.account()
  const { public_id: user } = (await api.get('/api/v1/users/me', { token })).body.data
  await api.get(`${missing}?canary=1`, { token, headers: { 'x-request-id': 'one-line' } })
  const lines = () => api.log.filter(({ request_id }) => request_id === 'one-line')
  await vi.waitFor(() => expect(lines()).toHaveLength(1))
  expect(lines()[0]).toMatchObject({
    level: 'info',
    time: expect.stringMatching(time),
    method: 'GET',
    route: `${items}/:public_id`,
    path: missing,
    status: 404,
    duration_ms: expect.any(Number),
    user,
    ip: '127.0.0.1',
  })
  expect(JSON.stringify(lines()[0])).not.toContain('canary')
})

describe('pages of other origins', () => {
  const strange = [
    'null',
    `${origin}.evil.example`,
    'https://evil-app.example.com',
    'http://app.example.com',
    `${origin}:8443`,
  ]
  const withoutCors = useApi('sqlite')

  test('may read replies when they are on the list, errors included', async () => {
    for (const path of ['/health', '/nowhere', '/api/v1/users/me']) {
      const { headers } = await api.get(path, { headers: { origin } })
      expect(headers.get('access-control-allow-origin')).toBe(origin)
      expect(headers.get('access-control-allow-credentials')).toBeNull()
      expect(headers.get('vary')).toContain('Origin')
    }
    const item = await api.get(items, { headers: { origin } })
    const exposed = item.headers.get('access-control-expose-headers')!.split(', ')
    expect(exposed).toEqual(expect.arrayContaining(['x-request-id', 'location', 'etag', 'retry-after', 'ratelimit']))
    const coded = await api.post(logout, {}, { headers: { origin, 'content-encoding': 'gzip' } })
    expect(coded.headers.get('access-control-allow-origin')).toBe(origin)
  })

  test.for(['GET', 'POST', 'PATCH', 'DELETE'])('on the list may send %s with a token', async (method) => {
    const { status, headers } = await api.request('OPTIONS', items, {
      headers: {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,content-type,if-match',
      },
    })
    expect(status).toBe(204)
    expect(headers.get('access-control-allow-origin')).toBe(origin)
    expect(headers.get('access-control-allow-methods')!.split(/, ?/)).toContain(method)
    expect(headers.get('access-control-allow-headers')).toBe('authorization,content-type,if-match')
  })

  test.for([...strange, '*'])('get no permission when they are not: %s', async (other) => {
    const plain = await api.get('/health', { headers: { origin: other } })
    const preflight = { origin: other, 'access-control-request-method': 'POST' }
    const asked = await api.request('OPTIONS', items, { headers: preflight })
    expect(plain.headers.get('access-control-allow-origin')).toBeNull()
    expect(asked.headers.get('access-control-allow-origin')).toBeNull()
  })

  test.for([origin, ...strange])('get no permission where there is no list: %s', async (other) => {
    const { status, headers } = await withoutCors.get('/health', { headers: { origin: other } })
    expect(status).toBe(200)
    expect(headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('OPTIONS', () => {
  const withoutCors = useApi('sqlite')

  test('tells the methods of a known path, with CORS and without', async () => {
    for (const { status, headers } of [
      await api.request('OPTIONS', items),
      await withoutCors.request('OPTIONS', items),
    ]) {
      expect(status).toBe(204)
      expect(headers.get('allow')).toBe('GET, HEAD, POST')
    }
  })

  test('of an unknown path is 404', async () => {
    expect((await api.request('OPTIONS', '/nope')).status).toBe(404)
  })

  test('from an origin that is not on the list gets no word of CORS', async () => {
    for (const foreign of ['null', 'https://app.example.com.evil.example', 'http://app.example.com']) {
      const { headers } = await api.request('OPTIONS', items, {
        headers: { origin: foreign, 'access-control-request-method': 'PATCH' },
      })
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })
})
