import { createHmac, randomUUID } from 'node:crypto'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { UnauthorizedError } from '../../src/core/errors.ts'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import { settings } from '../support/settings.ts'

const secret = 'the first secret of 64 bytes or more which is long enough for HS512 too'
const otherSecret = 'another secret of 64 bytes or more which is long enough for HS512 too'
const tokens = createAccessTokens(settings({ JWT_SECRET_KEY: secret }))
const claims = { sub: randomUUID(), sid: randomUUID(), gen: 3, role: 'user' as const }

const good = tokens.sign(claims)
const read = (part: number, token = good) =>
  JSON.parse(Buffer.from(token.split('.')[part]!, 'base64url').toString()) as Record<string, unknown>
const header = read(0)
const payload = read(1)
const seconds = (offset: number) => Math.floor(Date.now() / 1000) + offset

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
const unsigned = (changes: { header?: object; payload?: object }) =>
  `${encode({ ...header, ...changes.header })}.${encode({ ...payload, ...changes.payload })}`

/** A token with another header or payload, properly signed with the key and the hash given. */
function forge(changes: { header?: object; payload?: object }, key = secret, hash = 'sha256') {
  const text = unsigned(changes)
  return `${text}.${createHmac(hash, key).update(text).digest('base64url')}`
}

/** The code with which a token is refused. */
function refusal(token: string, by = tokens): string {
  try {
    by.verify(token)
    return 'accepted'
  } catch (error) {
    return (error as UnauthorizedError).code
  }
}

test('a token carries the claims of RFC 9068, and no more', () => {
  expect(header).toEqual({ alg: 'HS256', typ: 'at+jwt', kid: expect.any(String) })
  expect(payload).toEqual({
    ...claims,
    iss: 'TypeScript Backend Template',
    aud: 'TypeScript Backend Template',
    jti: expect.any(String),
    iat: expect.any(Number),
    exp: expect.any(Number),
  })
  expect(Number(payload['exp']) - Number(payload['iat'])).toBe(15 * 60)
  expect(read(1, tokens.sign(claims))['jti']).not.toBe(payload['jti'])
})

test('a sound token is accepted, also when this test has signed it', () => {
  expect(tokens.verify(good)).toMatchObject(claims)
  expect(tokens.verify(forge({}))).toMatchObject(claims)
})

describe('the algorithm is the configured one, whatever the token says (RFC 8725 §3.1, ASVS 9.1.2)', () => {
  test.for(['none', 'None', 'NONE', 'nOnE', '', null])('a token of the algorithm %j is refused', (alg) => {
    expect(refusal(`${unsigned({ header: { alg } })}.`)).toBe('invalid_token')
    expect(refusal(unsigned({ header: { alg } }))).toBe('invalid_token')
    expect(refusal(forge({ header: { alg } }))).toBe('invalid_token')
  })

  test.for([
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
    ['hs256', 'sha256'],
    ['RS256', 'sha256'],
  ])('a token signed as %s with our own key is refused', ([alg, hash]) => {
    expect(refusal(forge({ header: { alg } }, secret, hash))).toBe('invalid_token')
  })

  test('a signature that is empty, cut short or of another token is refused', () => {
    const [head, body, signature] = good.split('.') as [string, string, string]
    expect(refusal(`${head}.${body}.`)).toBe('invalid_token')
    expect(refusal(`${head}.${body}`)).toBe('invalid_token')
    expect(refusal(`${head}.${body}.${signature.slice(0, -1)}`)).toBe('invalid_token')
    expect(refusal(`${unsigned({ payload: { role: 'super_admin' } })}.${signature}`)).toBe('invalid_token')
  })

  test('another algorithm can be configured, and is then the only one', () => {
    const stronger = createAccessTokens(settings({ JWT_SECRET_KEY: secret, JWT_ALGORITHM: 'HS512' }))
    expect(stronger.verify(stronger.sign(claims))).toMatchObject(claims)
    expect(refusal(good, stronger)).toBe('invalid_token')
  })
})

describe('a key that the token brings along or points to is not used', () => {
  const attacker = 'a key of the attacker, who signs with it'
  const jwk = { kty: 'oct', k: Buffer.from(attacker).toString('base64url') }

  test.for<[string, object]>([
    ['jwk', { jwk }],
    ['jku', { jku: 'http://127.0.0.1:9/keys' }],
    ['x5u', { x5u: 'http://127.0.0.1:9/certificate' }],
    ['kid as a path', { kid: '../../../../dev/null' }],
    ['kid as SQL', { kid: "x' union select 'attacker" }],
    ['kid as an object', { kid: { toString: 1 } }],
    ['kid as the name of a built-in', { kid: '__proto__' }],
  ])('%s', ([, extra]) => {
    expect(refusal(forge({ header: extra }, attacker))).toBe('invalid_token')
    expect(refusal(forge({ header: extra }, ''))).toBe('invalid_token')
  })
})

describe('a token signed with our key is still refused', () => {
  test.for<[string, object]>([
    ['of another type (RFC 8725 §3.12)', { typ: 'JWT' }],
    ['without a type', { typ: undefined }],
    ['of an unknown key', { kid: 'unknown!' }],
  ])('when it is %s', ([, extra]) => {
    expect(refusal(forge({ header: extra }))).toBe('invalid_token')
  })

  test.for(['iss', 'aud', 'sub', 'sid', 'gen', 'jti', 'iat', 'exp', 'role'])(
    'when it has no %s (RFC 9068, ASVS 9.2.1)',
    (claim) => {
      expect(refusal(forge({ payload: { [claim]: undefined } }))).toBe('invalid_token')
    },
  )

  test.for<[string, object]>([
    ['iss', { iss: 'https://elsewhere.example' }],
    ['aud', { aud: 'another service' }],
    ['sub, the integer key', { sub: '1' }],
    ['sub, a number', { sub: 1 }],
    ['sub, no UUID', { sub: "' or 1=1 --" }],
    ['sid', { sid: 'f47ac10b' }],
    ['gen', { gen: -1 }],
    ['role', { role: 'root' }],
    ['exp, a text', { exp: '9999999999' }],
    ['nbf in the future', { nbf: seconds(60) }],
    ['iat in the future', { iat: seconds(60), exp: seconds(960) }],
  ])('when it has a wrong %s (ASVS 9.2.3)', ([, changes]) => {
    expect(refusal(forge({ payload: changes }))).toBe('invalid_token')
  })
})

test('what is no JWT at all is refused', () => {
  for (const token of ['', '.', '..', 'a.b.c', `${good}.${good}`, `${good} `, encode([]), 'r1.x.y.0.z'])
    expect(refusal(token)).toBe('invalid_token')
})

test('an expired token is told from a bad one, but not when it is forged', () => {
  const past = { iat: seconds(-1000), exp: seconds(-100) }
  expect(refusal(forge({ payload: past }))).toBe('token_expired')
  expect(refusal(forge({ payload: past }, otherSecret))).toBe('invalid_token')
})

describe('a token that was found good before', () => {
  test('expires all the same', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const token = tokens.sign(claims)
    expect(tokens.verify(token)).toBe(tokens.verify(token))
    vi.advanceTimersByTime(15 * 60 * 1000 + 9000)
    expect(refusal(token)).toBe('accepted')
    vi.advanceTimersByTime(2000)
    expect(refusal(token)).toBe('token_expired')
    expect(refusal(token)).toBe('token_expired')
  })

  test('lends nothing to another payload under its signature', () => {
    const signature = good.split('.')[2]!
    tokens.verify(good)
    expect(refusal(`${unsigned({ payload: { role: 'super_admin' } })}.${signature}`)).toBe('invalid_token')
    expect(refusal(`${good}=`)).toBe('invalid_token')
  })

  test('is still good when so many others came that it was forgotten', () => {
    tokens.verify(good)
    for (let other = 0; other < 5001; other++) tokens.verify(tokens.sign(claims))
    expect(tokens.verify(good)).toMatchObject(claims)
  })
})

test('clocks may differ by ten seconds, and not by more', () => {
  expect(tokens.verify(forge({ payload: { exp: seconds(-5) } }))).toMatchObject(claims)
  expect(tokens.verify(forge({ payload: { iat: seconds(5) } }))).toMatchObject(claims)
  expect(refusal(forge({ payload: { exp: seconds(-12) } }))).toBe('token_expired')
  expect(refusal(forge({ payload: { iat: seconds(20) } }))).toBe('invalid_token')
})

describe('after a change of keys (ASVS 11.2.2)', () => {
  const rotated = createAccessTokens(settings({ JWT_SECRET_KEY: otherSecret, JWT_SECRET_KEY_PREVIOUS: secret }))

  test('tokens of the previous key stay good, and new ones are signed with the new', () => {
    expect(rotated.verify(good)).toMatchObject(claims)
    expect(rotated.verify(rotated.sign(claims))).toMatchObject(claims)
    expect(refusal(rotated.sign(claims))).toBe('invalid_token')
  })

  test('a token counts only under the key that it names', () => {
    const newest = read(0, rotated.sign(claims))['kid']
    expect(refusal(forge({ header: { kid: newest } }), rotated)).toBe('invalid_token')
  })

  test('tokens of a key that was dropped are refused', () => {
    const moved = createAccessTokens(settings({ JWT_SECRET_KEY: otherSecret }))
    expect(refusal(good, moved)).toBe('invalid_token')
  })
})
