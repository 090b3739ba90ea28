import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import { createLogger } from '../../src/core/logging.ts'
import { models } from '../../src/models/index.ts'
import { createServices, type Services } from '../../src/wiring.ts'
import { useApi, type Account } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const auth = '/api/v1/auth'
const me = '/api/v1/users/me'
const items = '/api/v1/items'
const person = (email: string) => ({
  email,
  password: 'correct horse battery',
  first_name: 'Ada',
  last_name: 'Lovelace',
})

describe('every answer, whatever its status', () => {
  const api = useApi('sqlite', { RATE_LIMIT_ENABLED: 'true', REGISTER_MAX_PER_HOUR: '3' })
  const away = useApi('sqlite', { DATABASE_URL: 'sqlite:////no-such-folder/app.db' })

  /** A reply as `fetch` and raw sockets can both give it. */
  interface Answer {
    status: number
    headers: Headers
  }
  const ask = async (method: string, path: string): Promise<Answer> => {
    const request = httpRequest(api.address + path, { method, agent: false }).end()
    const [{ statusCode, headers }] = (await once(request, 'response')) as [IncomingMessage]
    return { status: statusCode!, headers: new Headers(headers as Record<string, string>) }
  }
  const sendBytes = async (...lines: string[]): Promise<Answer> => {
    const socket = connect(Number(new URL(api.address).port), '127.0.0.1')
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
    const [statusLine = '', ...fields] = (await text(socket)).split('\r\n\r\n', 1)[0]!.split('\r\n')
    return {
      status: Number(statusLine.split(' ')[1]),
      headers: new Headers(fields.map((field) => field.split(': ', 2) as [string, string])),
    }
  }

  let answers: [name: string, answer: Answer][]
  beforeAll(async () => {
    const [owner, other] = [await api.account(), await api.account()]
    const token = owner.access_token
    const item = await api.post(items, { name: 'Mine' }, { token })
    const path = item.headers.get('location')!
    answers = [
      ['200', await api.get(me, { token })],
      ['200 to HEAD', await api.request('HEAD', items)],
      ['201', item],
      ['204', await ask('OPTIONS', items)],
      ['302', await ask('GET', '/api/docs')],
      ['the documentation page', await api.get('/api/docs/swagger')],
      ['400', await api.get(`${items}?page=0`)],
      ['400 to broken JSON', await api.post(`${auth}/login`, '{')],
      ['400 to a path that is no text', await api.get(`${items}/%FF`)],
      ['400 to broken framing', await sendBytes('GET / HTTP/1.1', 'Host: x', 'A : b')],
      ['400 to two hosts', await sendBytes('GET / HTTP/1.1', 'Host: x', 'Host: y', 'Connection: close')],
      ['401', await api.get(me)],
      ['401 to a bad token', await api.get(me, { token: 'bad' })],
      ['403', await api.delete(path, { token: other.access_token })],
      ['404', await api.get('/nowhere')],
      ['405', await ask('TRACE', '/health')],
      ['409', await api.post(`${auth}/register`, person(owner.email))],
      ['413', await api.post(`${auth}/login`, 'x'.repeat(1024 * 1024 + 1))],
      ['415', await api.post(`${auth}/login`, 'x', { headers: { 'content-type': 'text/plain' } })],
      ['429', await api.post(`${auth}/register`, person('fourth@example.com'))],
      ['431', await sendBytes('GET / HTTP/1.1', 'Host: x', `A: ${'x'.repeat(20_000)}`)],
    ]
    await sql`alter table items rename to hidden`.execute(api.database.query())
    answers.push(['500', await api.get(items)])
    await sql`alter table hidden rename to items`.execute(api.database.query())
    answers.push(['503', await away.get('/health/ready')])
  })

  test('there is one of each', () => {
    const statuses = answers.map(([name, { status }]) => [name.slice(0, 3), String(status)])
    const told = statuses.filter(([name]) => /^\d/.test(name!))
    expect(told.filter(([name, status]) => name !== status)).toEqual([])
  })

  // The values stand here and are not taken from the code: weakening them there must fail here.
  test.for<[string, RegExp | ((value: string) => boolean)]>([
    [
      'strict-transport-security (ASVS 3.4.1)',
      (value) =>
        /^max-age=(\d+); includeSubDomains$/.test(value) && Number(/\d+/.exec(value)![0]) >= 365 * 24 * 60 * 60,
    ],
    ['content-security-policy (ASVS 3.4.3, 3.4.6)', /^default-src 'none';.* base-uri 'none';.* frame-ancestors 'none'/],
    ['x-content-type-options (ASVS 3.4.4)', /^nosniff$/],
    ['referrer-policy (ASVS 3.4.5)', /^no-referrer$/],
    ['cross-origin-resource-policy (ASVS 3.4)', /^same-origin$/],
    ['cache-control (ASVS 14.3.2)', /^no-store$/],
    ['x-request-id (ASVS 16.2.1)', /^[\w.:-]+$/],
  ])('has a good %s', ([name, good]) => {
    const header = name.split(' ', 1)[0]!
    const isGood = (value: string) => (typeof good === 'function' ? good(value) : good.test(value))
    const bad = answers.filter(([, { headers }]) => !isGood(headers.get(header) ?? ''))
    expect(bad.map(([answer, { headers }]) => `${answer}: ${headers.get(header)}`)).toEqual([])
  })

  test('says in which charset it is (ASVS 4.1.1), and not what it runs on (ASVS 13.4.6)', () => {
    const withBody = answers.filter(([name]) => !/^(204|302)/.test(name))
    for (const [, { headers }] of withBody) expect(headers.get('content-type')).toMatch(/; charset=utf-8$/)
    for (const [, { headers }] of answers)
      expect([headers.get('server'), headers.get('x-powered-by')]).toEqual([null, null])
  })
})

onEachDatabase((kind) => {
  const api = useApi(kind)

  /** Makes the database quote what it was given, with the name of a table, when an account is added. */
  const quoting = {
    sqlite: [
      sql`create trigger quoting before insert on users begin select raise(abort, 'inside of users: ' || new.password_hash); end`,
    ],
    postgresql: [
      sql`create function quoting() returns trigger as $$ begin raise exception 'inside of users: %', new; end $$ language plpgsql`,
      sql`create trigger quoting before insert on users for each row execute function quoting()`,
    ],
  }
  const quiet = { sqlite: sql`drop trigger quoting`, postgresql: sql`drop function quoting cascade` }

  test('a fault of the server tells the client nothing but its id, in either form (ASVS 16.5.1)', async () => {
    for (const statement of quoting[kind]) await statement.execute(api.database.query())
    const fail = (headers: Record<string, string>) =>
      api.post(`${auth}/register`, person('quoted@example.com'), { headers })
    const envelope = await fail({ 'x-request-id': 'a-fault' })
    const problem = await fail({ 'x-request-id': 'a-fault', accept: 'application/problem+json' })
    await quiet[kind].execute(api.database.query())

    const message = 'An unexpected error occurred'
    const common = { code: 'internal_error', request_id: 'a-fault' }
    expect(envelope.body).toEqual({ success: false, message, ...common, timestamp: expect.any(String) })
    expect(problem.body).toEqual({
      type: 'about:blank',
      title: 'Internal Server Error',
      status: 500,
      detail: message,
      instance: `${auth}/register`,
      ...common,
    })
    for (const { headers } of [envelope, problem]) expect([...headers].join()).not.toMatch(/inside|argon2|users:|node_/)
    // The log holds what the client was not told.
    expect(JSON.stringify(api.log)).toContain('inside of users')
  })

  describe('an answer holds no field that its schema does not name (ASVS 15.3.1)', () => {
    const leak = { id: 4711, user_id: 4711, password_hash: 'a leak', deleted_at: 'a leak' }

    /** The same data with more in every object, as a careless query would give. */
    function careless(data: unknown): unknown {
      if (Array.isArray(data)) return data.map(careless)
      if (data === null || typeof data !== 'object') return data
      return { ...Object.fromEntries(Object.entries(data).map(([name, value]) => [name, careless(value)])), ...leak }
    }
    const carelessService = <T extends object>(service: T): T =>
      Object.fromEntries(
        Object.entries(service as Record<string, (...given: unknown[]) => unknown>).map(([name, work]) => [
          name,
          async (...given: unknown[]) => careless(await work(...given)),
        ]),
      ) as T

    test('whatever the services give', async () => {
      const config = settings({ LOG_LEVEL: 'silent' })
      const log = await createLogger(config)
      const { audit, purge, idempotency, sessions, ...others } = createServices(config, api.database, log)
      const { authenticate, ...rest } = sessions
      const services = {
        audit,
        purge,
        idempotency,
        sessions: { ...carelessService(rest), authenticate },
        auth: carelessService(others.auth),
        users: carelessService(others.users),
        items: carelessService(others.items),
        accounts: others.accounts,
        health: others.health,
      } satisfies Services
      const app = await createApp(config, services, log)
      const answered: string[] = []
      const send = async (method: 'GET' | 'POST' | 'PATCH', url: string, body?: object, token?: string) => {
        const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
        const reply = await app.inject({ method, url, headers, ...(body && { body }) })
        answered.push(`${method} ${url.replaceAll(/[\da-f-]{36}/g, '…')} ${reply.statusCode} ${reply.body}`)
        return reply.json().data
      }
      const { email, password } = person('leak@example.com')
      await send('POST', `${auth}/register`, person(email))
      const tokens = (await send('POST', `${auth}/login`, { email, password })) as Account
      await send('POST', `${auth}/refresh`, { refresh_token: tokens.refresh_token })
      const token = tokens.access_token
      await send('GET', `${auth}/sessions`, undefined, token)
      await send('GET', me, undefined, token)
      await send('PATCH', me, { first_name: 'Eve' }, token)
      const item = await send('POST', items, { name: 'leak' }, token)
      await send('GET', `${items}/${item.public_id}`)
      await send('PATCH', `${items}/${item.public_id}`, { priority: 2 }, token)
      await send('GET', items)
      await send('GET', `${items}/search?q=leak`)
      await send('GET', '/health')
      await app.close()
      expect(answered.filter((answer) => !/ 20[01] \{"success":true,/.test(answer))).toEqual([])
      expect(answered.filter((answer) => /4711|a leak|_hash|deleted_at|"id"/.test(answer))).toEqual([])
    })

    test('and the schema of every success is such a list, at every depth', async () => {
      interface Node {
        type?: unknown
        properties?: Record<string, Node>
        additionalProperties?: unknown
        [key: string]: unknown
      }
      const { paths, components } = (await api.get('/api/docs/openapi.json')).body as Record<string, Node>
      const open: string[] = []
      const seen = new Set<unknown>()
      const visit = (node: unknown, where: string): void => {
        if (node === null || typeof node !== 'object' || seen.has(node)) return
        seen.add(node)
        const { type, additionalProperties, $ref, ...inner } = node as Node
        if (type === 'object' && additionalProperties !== false) open.push(where)
        if (typeof $ref === 'string' && $ref.startsWith('#/components/schemas/'))
          visit((components!['schemas'] as Node)[$ref.split('/').at(-1)!], $ref)
        for (const [name, value] of Object.entries(inner)) visit(value, `${where}.${name}`)
      }
      for (const [path, methods] of Object.entries(paths!))
        for (const [method, operation] of Object.entries(methods as Node)) {
          const responses = (operation as { responses: Record<string, unknown> }).responses
          for (const [status, response] of Object.entries(responses))
            if (status.startsWith('2')) visit(response, `${method} ${path}`)
        }
      expect(seen.size).toBeGreaterThan(50)
      expect(open).toEqual([])
    })
  })
})

describe('nothing can be set that an operation does not ask for (ASVS 15.3.3)', () => {
  const api = useApi('sqlite')
  const columns = [...new Set(models.flatMap(({ meta }) => Object.keys(meta.properties)))]

  interface Target {
    method: string
    path: string
    body: object
    token?: string
  }
  /** Each operation that takes a body: the fields it takes, and a good request. */
  const targets: Record<string, [fields: string[], target: () => Promise<Target>]> = {
    register: [
      ['email', 'password', 'first_name', 'last_name'],
      async () => ({ method: 'POST', path: `${auth}/register`, body: person(`${randomUUID()}@example.com`) }),
    ],
    login: [
      ['email', 'password'],
      async () => {
        const { email, password } = await api.account()
        return { method: 'POST', path: `${auth}/login`, body: { email, password } }
      },
    ],
    refresh: [
      ['refresh_token'],
      async () => {
        const { refresh_token } = await api.account()
        return { method: 'POST', path: `${auth}/refresh`, body: { refresh_token } }
      },
    ],
    logout: [
      ['refresh_token'],
      async () => {
        const { refresh_token } = await api.account()
        return { method: 'POST', path: `${auth}/logout`, body: { refresh_token } }
      },
    ],
    'logout-all': [
      [],
      async () => {
        const { access_token: token } = await api.account()
        return { method: 'POST', path: `${auth}/logout-all`, body: {}, token }
      },
    ],
    'a change of the profile': [
      ['first_name', 'last_name'],
      async () => {
        const { access_token: token } = await api.account()
        return { method: 'PATCH', path: me, body: { first_name: 'Eve' }, token }
      },
    ],
    'a change of the password': [
      ['old_password', 'new_password'],
      async () => {
        const { password, access_token: token } = await api.account()
        const body = { old_password: password, new_password: 'another battery' }
        return { method: 'POST', path: `${me}/password`, body, token }
      },
    ],
    deactivating: [
      [],
      async () => {
        const { access_token: token } = await api.account()
        return { method: 'POST', path: `${me}/deactivate`, body: {}, token }
      },
    ],
    'a new item': [
      ['name', 'description', 'status', 'priority'],
      async () => {
        const { access_token: token } = await api.account()
        return { method: 'POST', path: items, body: { name: 'Mine' }, token }
      },
    ],
    'a change of an item': [
      ['name', 'description', 'status', 'priority'],
      async () => {
        const { access_token: token } = await api.account()
        const { headers } = await api.post(items, { name: 'Mine' }, { token })
        return { method: 'PATCH', path: headers.get('location')!, body: { name: 'Still mine' }, token }
      },
    ],
  }
  const send = ({ method, path, body, token }: Target, more = {}) =>
    api.request(method, path, { body: { ...body, ...more }, ...(token !== undefined && { token }) })
  const content = async () => {
    const tables = ['users', 'sessions', 'items', 'audit_events'] as const
    return Promise.all(
      tables.map((table) => api.database.query().selectFrom(table).selectAll().orderBy('id').execute()),
    )
  }

  test('every operation that may take a body is tried', async () => {
    const { paths } = (await api.get('/api/docs/openapi.json')).body as { paths: Record<string, object> }
    const writing = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => ['post', 'put', 'patch'].includes(method))
        .map((method) => `${method.toUpperCase()} ${path}`),
    )
    const tried = await Promise.all(Object.values(targets).map(([, target]) => target()))
    const known = tried.map(({ method, path }) => `${method} ${path.replace(/[\da-f-]{36}/, '{public_id}')}`)
    expect(known.toSorted()).toEqual(writing.toSorted())
  })

  test.for(Object.entries(targets))('by %s, not one of the columns there are', async ([, [fields, prepare]]) => {
    const target = await prepare()
    const strange = columns.filter((column) => !fields.includes(column))
    expect(strange).toEqual(expect.arrayContaining(['id', 'public_id', 'role', 'is_active', 'is_verified', 'owner_id']))
    const before = await content()
    for (const field of strange) {
      const { status, body } = await send(target, { [field]: field.startsWith('is_') ? true : 'admin' })
      expect([status, body.errors]).toEqual([400, [{ field, message: 'is not a known field' }]])
    }
    expect(await content()).toEqual(before)
    // What was refused above was the strange field alone.
    expect((await send(target)).status).toBeLessThan(300)
  })
})
