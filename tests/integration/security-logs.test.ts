import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { sql } from 'kysely'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { createApp } from '../../src/app.ts'
import { createLogger } from '../../src/core/logging.ts'
import { createServices } from '../../src/wiring.ts'
import { useApi, type Account, type Api } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const auth = '/api/v1/auth'
const me = '/api/v1/users/me'
const items = '/api/v1/items'

/** Sends bytes as they are, one letter each, and gives the answer. */
async function sendBytes(address: string, ...lines: string[]): Promise<string> {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  socket.write(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'))
  return text(socket)
}

/** Makes the database quote a row of accounts, with its hash, when one is added. */
const quoting = {
  sqlite: [sql`create trigger quoting before insert on users begin select raise(abort, new.password_hash); end`],
  postgresql: [
    sql`create function quoting() returns trigger as $$ begin raise exception 'the row %', new; end $$ language plpgsql`,
    sql`create trigger quoting before insert on users for each row execute function quoting()`,
  ],
}
const quiet = {
  sqlite: [sql`drop trigger quoting`],
  postgresql: [sql`drop function quoting cascade`],
}

onEachDatabase((kind) => {
  describe.for(['info', 'trace'])('at LOG_LEVEL=%s', (level) => {
    const api = useApi(kind, { LOG_LEVEL: level })
    const secrets = new Map<string, string>()
    /** A value that is found again wherever it is written. */
    const canary = (name: string) => {
      const value = `canary-${secrets.size}-${randomUUID()}`
      secrets.set(name, value)
      return value
    }
    /** The same for values that the server made. */
    const keep = (name: string, { access_token, refresh_token }: Account) => {
      secrets.set(`${name}: the access token`, access_token)
      secrets.set(`${name}: the refresh token`, refresh_token)
    }
    const run = async (statements: ReturnType<typeof sql>[]) => {
      for (const statement of statements) await statement.execute(api.database.query())
    }
    const person = (email: string, password: unknown) => ({
      email,
      password,
      first_name: 'Ada',
      last_name: 'Lovelace',
    })
    const register = (body: unknown, headers = {}) => api.post(`${auth}/register`, body, { headers })
    const statuses: number[] = []
    const note = async (reply: Promise<{ status: number }>) => void statuses.push((await reply).status)

    beforeAll(async () => {
      const email = `${level}@example.com`
      const password = canary('the password')
      const account = await api.account({ email, password })
      keep('registered', account)
      await note(register(person(email, canary('registering a taken e-mail'))))
      await note(register(person('short@example.com', canary('a password that is too long').repeat(4))))
      await note(register(person('list@example.com', [canary('a password in a list')])))
      await note(register({ ...person('x@example.com', 'x'), passwd: canary('a password in an unknown field') }))
      await note(register(`{"email":"x@example.com","password":"${canary('a password in broken JSON')}"`))
      await note(register(canary('a body that is no JSON'), { 'content-type': 'text/plain' }))
      await note(register(person('huge@example.com', canary('a body that is too large').repeat(30_000))))
      await run(quoting[kind])
      await note(register(person('quoted@example.com', canary('a password while the database fails'))))
      await run(quiet[kind])

      const login = (address: string, given: string) => api.post(`${auth}/login`, { email: address, password: given })
      keep('signed in', (await login(email, password)).body.data)
      await note(login(email, canary('a wrong password')))
      await note(login('nobody@example.com', canary('a password of nobody')))

      const refresh = (refresh_token: string) => api.post(`${auth}/refresh`, { refresh_token })
      const first = await api.account()
      keep('to be refreshed', first)
      const second = (await refresh(first.refresh_token)).body.data
      keep('refreshed', second)
      keep('refreshed again', (await refresh(second.refresh_token)).body.data)
      await note(refresh(first.refresh_token))
      await note(refresh(canary('a refresh token that is none')))
      await note(refresh(`${first.refresh_token.slice(0, -43)}${canary('a forged refresh token')}`))
      await note(api.post(`${auth}/logout`, { refresh_token: canary('a sign-out with garbage') }))
      await note(api.post(`${auth}/logout`, { refresh_token: first.refresh_token }))

      const token = account.access_token
      const change = (old_password: string, new_password: string) =>
        api.post(`${me}/password`, { old_password, new_password }, { token })
      await note(change(canary('a wrong old password'), canary('a new password that is not taken')))
      await note(change(password, `${canary('a weak new password')}${'x'.repeat(128)}`))
      await note(change(password, canary('a new password')))

      const ask = (authorization: string) => api.get(me, { headers: { authorization } })
      await note(ask(`Bearer ${canary('a Bearer token that is none')}`))
      await note(ask(`Bearer ${token.slice(0, -10)}${canary('a forged Bearer token')}`))
      await note(ask(`Basic ${canary('Basic credentials')}`))
      await note(ask(canary('an Authorization header without a scheme')))
      for (const name of ['cookie', 'proxy-authorization', 'x-api-key', 'x-auth-token'])
        await note(api.get(items, { headers: { [name]: `session=${canary(`the header ${name}`)}` } }))

      for (const name of ['password', 'access_token', 'refresh_token', 'q'])
        await note(api.get(`${items}?${name}=${canary(`a query with ${name}`)}`))
      await note(api.post(`${auth}/login?password=${canary('a query beside a body')}`, { email, password }))
      await note(api.get(`${items}/${token}`))
      await note(api.get(`/nowhere/${token}`))
      await note(api.post(`${auth}/refresh/${first.refresh_token}`, {}))
      const inAddress = `GET http://ada:${canary('a password in the address')}@localhost/health HTTP/1.1`
      await sendBytes(api.address, inAddress, 'Host: localhost', 'Connection: close')
      const broken = `Authorization: Bearer ${canary('a Bearer token in a broken request')}`
      await sendBytes(api.address, 'GET /health HTTP/1.1', 'Host: localhost', broken, 'A : b')
    })

    test('no credential that came or went is in any line (ASVS 16.2.5)', () => {
      expect(new Set(statuses)).toEqual(new Set([200, 400, 401, 404, 409, 413, 415, 500]))
      expect(secrets.size).toBeGreaterThan(40)
      const written = JSON.stringify(api.log)
      expect(written).toContain('"msg":"request failed"')
      expect(api.log.filter(({ msg }) => msg === 'request').length).toBeGreaterThan(40)
      const found = [...secrets].filter(([, value]) => written.includes(value)).map(([name]) => name)
      expect(found).toEqual([])
      expect(written).not.toContain('$argon2')
    })

    test('nor in any row of the database, where a password is an Argon2id hash and a token is nothing (ASVS 11.4.2)', async () => {
      const tables = ['users', 'sessions', 'items', 'throttles', 'audit_events'] as const
      const rows = await Promise.all(
        tables.map((table) => api.database.query().selectFrom(table).selectAll().execute()),
      )
      const stored = JSON.stringify(rows)
      expect(stored).toContain(`${level}@example.com`)
      expect([...secrets].filter(([, value]) => stored.includes(value)).map(([name]) => name)).toEqual([])
      for (const { password_hash } of rows[0] as { password_hash: string }[])
        expect(password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    })
  })
})

describe('each line', () => {
  const api = useApi('sqlite', { DATABASE_TIMEOUT_SECONDS: '1' })
  /** What was written, to the letter. */
  let written = ''
  let address: string

  beforeAll(async () => {
    const config = settings()
    const log = await createLogger(config, { write: (line) => void (written += line) })
    const app = await createApp(config, createServices(config, api.database, log), log)
    address = await app.listen({ host: '127.0.0.1', port: 0 })
    return async () => {
      app.server.closeIdleConnections()
      await app.close()
    }
  })

  const ask = async (path: string, init: RequestInit = {}) => {
    const { status, headers } = await fetch(address + path, {
      ...init,
      headers: { connection: 'close', ...init.headers },
    })
    return { status, id: headers.get('x-request-id')! }
  }
  /** Lines as the strictest reader splits them: Unicode has more line ends than one. */
  const linesOf = (log: string) => log.split(/[\n\r\v\f\u0085\u2028\u2029]/u).filter(Boolean)
  const parsed = () => linesOf(written).map((line) => JSON.parse(line) as Record<string, unknown>)

  test('is a JSON object with its time in UTC and the id of its request (ASVS 16.2.2, 16.2.4)', async () => {
    written = ''
    const json = { 'content-type': 'application/json' }
    const email = 'nobody@example.com'
    const replies = [
      await ask('/health'),
      await ask('/nowhere'),
      await ask('/health', { method: 'DELETE' }),
      await ask(me),
      await ask(`${items}/%FF`),
      await ask(`${items}?page=0`),
      await ask(`${auth}/login`, { method: 'POST', headers: json, body: '{' }),
      await ask(`${auth}/login`, { method: 'POST', headers: json, body: JSON.stringify({ email, password: 'wrong' }) }),
      await ask(`${auth}/login`, { method: 'POST', body: 'text' }),
      await ask('/health', { headers: { 'x-large': 'x'.repeat(20_000) } }),
    ]
    await sql`alter table items rename to hidden`.execute(api.database.query())
    replies.push(await ask(items))
    await sql`alter table hidden rename to items`.execute(api.database.query())
    expect(replies.map(({ status }) => status)).toEqual([200, 404, 405, 401, 400, 400, 400, 401, 415, 431, 500])

    // The failed sign-in is an audit event as well, and the 500 an error with its stack.
    const told = ['broken request', 'login.failed', ...replies.slice(1).map(() => 'request'), 'request failed']
    // A request is told of when its answer has gone.
    await vi.waitFor(() => expect(parsed()).toHaveLength(told.length))
    const lines = parsed()
    expect(lines.map(({ msg }) => String(msg)).toSorted()).toEqual(told)
    for (const line of lines)
      expect(line).toMatchObject({
        level: expect.stringMatching(/^(info|warn|error)$/),
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        request_id: expect.toBeOneOf(replies.map(({ id }) => id)),
        msg: expect.any(String),
      })
  })

  // What a line of the log would look like, and what moves the cursor of a terminal.
  const forged = '{"level":"info","channel":"audit","event":"forged"}'
  const controls = [...Array.from({ length: 32 }, (_, code) => code), ...Array.from({ length: 33 }, (_, i) => 127 + i)]

  test('stays one line, whatever control character comes in a header (ASVS 16.4.1)', async () => {
    written = ''
    const body = '{"refresh_token":"garbage"}'
    const ids: string[] = []
    for (const name of ['User-Agent', 'X-Request-Id', 'X-Forwarded-For', 'Accept', 'Origin'])
      for (const code of controls) {
        const control = String.fromCodePoint(code)
        const answer = await sendBytes(
          address,
          `POST ${auth}/refresh HTTP/1.1`,
          'Host: localhost',
          'Connection: close',
          'Content-Type: application/json',
          `Content-Length: ${body.length}`,
          `${name}: a${control}${forged}${control}[2J`,
          '',
          body,
        )
        ids.push(/x-request-id: (.+)\r\n/i.exec(answer)![1]!)
      }
    expect(ids).toHaveLength(controls.length * 5)
    expect(ids.filter((id) => !/^[\w.:-]+$/.test(id))).toEqual([])
    expect(parsed().filter(({ event }) => event === 'forged')).toEqual([])
    // The user agent is written, and read back to the letter.
    const agents = parsed().map(({ user_agent }) => String(user_agent))
    expect(agents).toEqual(expect.arrayContaining([`a\t${forged}\t[2J`, `a\u009b${forged}\u009b[2J`]))
    expect(written.replaceAll('\n', '').match(/[\p{Cc}\u2028\u2029]/gu)).toBeNull()
  })

  test('stays one line, whatever comes in a path, a query or a body (ASVS 16.4.1)', async () => {
    written = ''
    for (const code of [0, 7, 9, 10, 13, 27, 127, 0x85, 0x9b, 0x2028, 0x2029]) {
      const value = `a${String.fromCodePoint(code)}${forged}`
      await ask(`/${encodeURIComponent(value)}`)
      await ask(`${items}/${encodeURIComponent(value)}`)
      await ask(`${items}?q=${encodeURIComponent(value)}`)
      await ask(`${auth}/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: `${value}@example.com`, password: value, [value]: value }),
      })
    }
    for (const code of [1, 7, 9, 27, 127, 0x85, 0x9b])
      await sendBytes(address, `GET /a${String.fromCodePoint(code)}b HTTP/1.1`, 'Host: localhost', 'Connection: close')
    expect(parsed().filter(({ event }) => event === 'forged')).toEqual([])
    expect(parsed().length).toBeGreaterThan(40)
    expect(written.replaceAll('\n', '').match(/[\p{Cc}\u2028\u2029]/gu)).toBeNull()
  })
})

describe('the address of a client is (ASVS 4.1.3, 15.3.4)', () => {
  const claims = {
    'x-forwarded-for': '203.0.113.66, 198.51.100.7',
    'x-real-ip': '203.0.113.66',
    'x-client-ip': '203.0.113.66',
    'true-client-ip': '203.0.113.66',
    forwarded: 'for=203.0.113.66',
  }
  const limited = { RATE_LIMIT_ENABLED: 'true', LOGIN_MAX_FAILURES: '2' }

  /** Every place that a sign-in leaves its address in. */
  async function recorded(api: Api) {
    const { email, password } = await api.account()
    const headers = { ...claims, 'x-request-id': randomUUID() }
    const { body } = await api.post(`${auth}/login`, { email, password }, { headers })
    const { body: list } = await api.get(`${auth}/sessions`, { token: body.data.access_token })
    const query = api.database.query()
    const user = await query.selectFrom('users').selectAll().where('email', '=', email).executeTakeFirstOrThrow()
    const events = query.selectFrom('audit_events').where('request_id', '=', headers['x-request-id'])
    const lines = () => api.log.filter(({ request_id }) => request_id === headers['x-request-id'])
    await vi.waitFor(() => expect(lines()).toHaveLength(2))
    return [
      list.data[0].ip,
      user.last_login_ip,
      (await events.select('ip').executeTakeFirstOrThrow()).ip,
      ...lines().map(({ ip }) => ip),
    ] as string[]
  }
  /** The statuses of guesses that each claim to come from elsewhere. */
  async function guesses(api: Api) {
    const { email } = await api.account()
    const statuses = []
    for (let guess = 0; guess < 4; guess++) {
      const headers = { 'x-forwarded-for': `203.0.113.${guess}, 198.51.100.7` }
      const reply = await api.post(`${auth}/login`, { email, password: 'the wrong password' }, { headers })
      statuses.push(reply.status)
    }
    return statuses
  }

  describe.for([
    ['its own, where no proxy is trusted', '', '127.0.0.1'],
    ['its own, where the proxy is not the one that is trusted', '203.0.113.0/24', '127.0.0.1'],
    ['what a trusted proxy says, and not what the client said to it', '127.0.0.1', '198.51.100.7'],
    ['what came before the last of several trusted proxies', '127.0.0.1,198.51.100.0/24', '203.0.113.66'],
  ] as const)('%s', ([, trusted, address]) => {
    const api = useApi('sqlite', { ...limited, TRUST_PROXY: trusted })

    test('in every line, row and answer', async () => {
      expect(new Set(await recorded(api))).toEqual(new Set([address]))
    })

    test('and where attempts are counted', async () => {
      const isOne = address !== '203.0.113.66'
      expect(await guesses(api)).toEqual(isOne ? [401, 401, 429, 429] : [401, 401, 401, 401])
    })
  })
})
