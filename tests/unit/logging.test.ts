import { Writable } from 'node:stream'
import type { Logger } from 'pino'
import { beforeEach, describe, expect, test } from 'vitest'
import { createLogger } from '../../src/core/logging.ts'

let written = ''
let log: Logger
const lines = () =>
  written
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)

beforeEach(async () => {
  written = ''
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      written += chunk.toString()
      done()
    },
  })
  log = await createLogger({ NODE_ENV: 'production', LOG_LEVEL: 'info' }, destination)
})

describe('a line', () => {
  test('is JSON with a level by name and a time in UTC', () => {
    log.info({ request_id: 'one' }, 'request')
    expect(lines()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        request_id: 'one',
        msg: 'request',
      },
    ])
  })

  test('below the level is not written', () => {
    log.debug('too much')
    expect(written).toBe('')
  })

  test('cannot be forged through control characters', () => {
    const forged = 'x\n{"level":"info","msg":"forged"}\r\n\u2028\u0000\u001b[2J'
    log.info({ user_agent: forged, [forged]: 1 }, forged)
    expect(lines()).toHaveLength(1)
    expect(lines()[0]).toMatchObject({ user_agent: forged, msg: forged })
    expect(written.slice(0, -1)).not.toMatch(/\p{Cc}/u)
  })

  test('of an error holds its stack and its cause', () => {
    log.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed')
    const [{ err } = {}] = lines()
    expect(err).toMatchObject({ type: 'Error', message: expect.stringContaining('outer') })
    expect((err as Error).stack).toContain('inner')
  })
})

describe('a credential is never written', () => {
  const canary = 'canary-c7d1'
  const fields = [
    'password',
    'old_password',
    'new_password',
    'password_hash',
    'access_token',
    'refresh_token',
    'authorization',
    'cookie',
    'set-cookie',
    'proxy-authorization',
    'accessToken',
    'newPassword',
    'passwordHash',
  ]

  test.for(fields)('under its name in a text that is JSON, cut off or not: %s', (name) => {
    const body = { account: { [name]: `${canary}"\\${canary}`, kept: 1 } }
    log.info({ body: JSON.stringify(body) })
    log.info({ bodies: [JSON.stringify(body, null, 2)] })
    log.info('%j', body)
    log.error({ err: new Error(`Cannot read ${JSON.stringify(body)}`) })
    log.info(`Cannot read ${JSON.stringify(body).slice(0, -5)}`)
    expect(lines()).toHaveLength(5)
    expect(lines()[0]?.['body']).toBe(JSON.stringify({ account: { [name]: '[Redacted]', kept: 1 } }))
    expect(written).not.toContain(canary)
  })

  test.for(fields)('under its name, at any depth: %s', (name) => {
    log.info({ [name]: canary })
    log.info({ body: { [name]: canary } })
    log.info({ request: { headers: { [name]: canary } } })
    log.info({ job: { request: { body: { account: { [name]: canary } } } } })
    log.info({ accounts: [{ [name]: canary }] })
    log.child({ [name]: canary }).info('from a child')
    log.error({ err: Object.assign(new Error('failed'), { [name]: canary }) })
    expect(lines()).toHaveLength(7)
    expect(written).not.toContain(canary)
  })

  test('nor where other things beside it are: they stay', () => {
    log.info({ body: { email: 'ada@example.com', password: canary } }, 'seen')
    expect(lines()[0]).toMatchObject({ body: { email: 'ada@example.com' }, msg: 'seen' })
  })

  const forms = {
    'an access token': `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${canary}`,
    'an unsigned token': `eyJhbGciOiJub25lIn0.eyJ${canary}.`,
    'a refresh token': `r1.Yp0dLq3v.f47ac10b-58cc-4372-a567-0e02b2c3d479.12.${canary}_AbC`,
    'a password hash': `$argon2id$v=19$m=65536,t=2,p=2$${canary}$${canary}`,
    'a password in an address': `postgresql://app:${canary}@db.example.com:5432/app`,
    'a password alone in an address': `redis://:${canary}@cache.example.com:6379`,
    'an encoded password in an address': `postgresql://app:${canary}%40x@db.example.com/app`,
  }
  test.for(Object.entries(forms))('by its form, wherever it stands: %s', ([, credential]) => {
    log.info(credential)
    log.info(`before ${credential} after`)
    log.info(`a second line\n${credential}`)
    log.info(`quoted "${credential}"`)
    log.info(`Bearer%20${credential}`)
    log.info({ path: `/x/${credential}`, nested: { deep: [{ deeper: credential }] } })
    log.error({ err: new Error(`failed with ${credential}`) })
    log.error({ err: new Error('failed', { cause: new Error(credential) }) })
    expect(lines()).toHaveLength(8)
    expect(written).toContain('[Redacted]')
    expect(written).not.toContain(canary)
  })

  test('and what only looks a little like one is left alone', () => {
    log.info('see https://example.com:8080/a@b and mail ada@example.com about version r1.2')
    expect(lines()[0]!['msg']).toBe('see https://example.com:8080/a@b and mail ada@example.com about version r1.2')
  })
})

test('an error keeps its stack and its code, and loses the row that a driver quotes', () => {
  const detail = 'Failing row contains (1, ada@example.com).'
  const error = Object.assign(new Error('violates check constraint'), { code: '23514', detail })
  log.error({ err: error }, 'request failed')
  const [line] = lines()
  expect(line!['err']).toMatchObject({ type: 'Error', code: '23514', message: 'violates check constraint' })
  expect(line!['err']).toHaveProperty('stack', expect.stringContaining('logging.test.ts'))
  expect(written).not.toContain('ada@example.com')
})
