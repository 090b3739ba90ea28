import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UnauthorizedError } from '../../src/core/errors.ts'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import { createRefreshTokens } from '../../src/core/security/refresh-tokens.ts'
import { roles } from '../../src/models/enums.ts'
import { settings } from '../support/settings.ts'
import { anyString, mutate, mutation, otherSpellings } from './arbitraries.ts'

const secret = 'the first secret of 64 bytes or more which is long enough for HS512 too'
const otherSecret = 'another secret of 64 bytes or more which is long enough for HS512 too'

const generation = fc.oneof(fc.nat(100), fc.nat(999_999_999))

describe('refresh tokens', () => {
  const tokens = createRefreshTokens(settings({ SECRET_KEY: secret }))
  const rotated = createRefreshTokens(settings({ SECRET_KEY: otherSecret, SECRET_KEY_PREVIOUS: secret }))
  const claims = fc.record({ sid: fc.uuid(), gen: generation })

  test('name any session and generation, also after a change of keys (ASVS 11.2.2)', () => {
    fc.assert(
      fc.property(claims, (given) => {
        expect(tokens.verify(tokens.sign(given))).toEqual(given)
        expect(rotated.verify(tokens.sign(given))).toEqual(given)
        expect(rotated.verify(rotated.sign(given))).toEqual(given)
      }),
    )
  })

  test('of different claims are different', () => {
    fc.assert(
      fc.property(claims, claims, (one, other) => {
        expect(tokens.sign(one) === tokens.sign(other)).toBe(one.sid === other.sid && one.gen === other.gen)
      }),
    )
  })

  test('are refused with any change (ASVS 9.1.1)', () => {
    fc.assert(
      fc.property(claims, mutation, (given, change) => {
        const token = tokens.sign(given)
        const changed = mutate(token, change)
        fc.pre(changed !== token)
        expect(tokens.verify(changed)).toBeUndefined()
      }),
      { numRuns: 500 },
    )
  })

  test('are refused in another spelling of their MAC', () => {
    fc.assert(
      fc.property(claims, (given) => {
        const [, text, mac] = /^(.*\.)(.*)$/.exec(tokens.sign(given)) as unknown as [string, string, string]
        const spellings = otherSpellings(mac).map((spelling) => text + spelling)
        expect(spellings).toHaveLength(3)
        expect(spellings.filter((spelling) => tokens.verify(spelling))).toEqual([])
      }),
    )
  })

  test('are not made of anything else: another text is refused, and nothing is thrown', () => {
    const shaped = fc.stringMatching(/^r1\.[\w-]{8}\.[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}\.\d{1,12}\.[\w-]{43}$/)
    const ours = fc.tuple(claims, anyString).map(([given, tail]) => tokens.sign(given).replace(/[^.]*$/, tail))
    fc.assert(
      fc.property(fc.oneof(anyString, shaped, ours), (text) => {
        expect(tokens.verify(text)).toBeUndefined()
      }),
    )
  })
})

const algorithms = ['HS256', 'HS384', 'HS512']

describe.for(algorithms)('access tokens of %s', (algorithm) => {
  const tokens = createAccessTokens(settings({ JWT_SECRET_KEY: secret, JWT_ALGORITHM: algorithm }))
  const claims = fc.record({
    sub: fc.uuid(),
    sid: fc.uuid(),
    gen: fc.oneof(generation, fc.nat(2_147_483_647)),
    role: fc.constantFrom(...roles),
  })
  const sign = (text: string) =>
    `${text}.${createHmac(algorithm.replace('HS', 'sha'), secret).update(text).digest('base64url')}`
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

  /** How a token is refused: with the code of an UnauthorizedError; anything else comes back as it is. */
  function refusal(token: string): unknown {
    try {
      return tokens.verify(token)
    } catch (error) {
      return error instanceof UnauthorizedError ? error.code : error
    }
  }

  test('carry their claims', () => {
    fc.assert(
      fc.property(claims, (given) => {
        expect(tokens.verify(tokens.sign(given))).toMatchObject(given)
      }),
    )
  })

  test('are refused with any change (ASVS 9.1.1)', () => {
    fc.assert(
      fc.property(claims, mutation, (given, change) => {
        const token = tokens.sign(given)
        const changed = mutate(token, change)
        fc.pre(changed !== token)
        expect(refusal(changed)).toBe('invalid_token')
      }),
      { numRuns: 200 },
    )
  })

  test('are refused when they are of another algorithm, under the same key (RFC 8725 §3.1)', () => {
    const others = algorithms.filter((other) => other !== algorithm)
    const accepted = others.filter((other) => {
      const { sign: signOther } = createAccessTokens(settings({ JWT_SECRET_KEY: secret, JWT_ALGORITHM: other }))
      const token = signOther({ sub: crypto.randomUUID(), sid: crypto.randomUUID(), gen: 0, role: 'user' })
      return refusal(token) !== 'invalid_token'
    })
    expect(accepted).toEqual([])
  })

  test('are refused in another spelling of the same bytes (RFC 4648 §3.5)', () => {
    fc.assert(
      fc.property(claims, (given) => {
        const parts = tokens.sign(given).split('.')
        const spellings = parts.flatMap((part, index) => otherSpellings(part).map((text) => parts.with(index, text)))
        const padded = parts.map((part, index) => parts.with(index, `${part}=`))
        for (const spelling of [...spellings, ...padded]) expect(refusal(spelling.join('.'))).toBe('invalid_token')
      }),
      { numRuns: 50 },
    )
  })

  test('are not made of anything else: another text is invalid_token, and nothing else is thrown', () => {
    const part = fc.oneof(fc.json(), anyString).map((text) => Buffer.from(text).toString('base64url'))
    const shaped = fc.tuple(part, part, part).map((parts) => parts.join('.'))
    fc.assert(
      fc.property(fc.oneof(anyString, shaped), (text) => {
        expect(refusal(text)).toBe('invalid_token')
      }),
    )
  })

  test('that our own key has signed hold sound claims, or are refused (RFC 9068 §4)', () => {
    const [header, payload] = tokens
      .sign({ sub: crypto.randomUUID(), sid: crypto.randomUUID(), gen: 0, role: 'user' })
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as object) as [object, object]
    const integer = (least: number, most: number) =>
      expect.toSatisfy((value: unknown) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most)
    const now = Math.floor(Date.now() / 1000)
    const sound = {
      sub: expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i),
      sid: expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i),
      gen: integer(0, 2_147_483_647),
      jti: expect.stringMatching(/./s),
      iat: integer(Number.MIN_SAFE_INTEGER, now + 20),
      exp: integer(now - 20, Number.MAX_SAFE_INTEGER),
      role: expect.toBeOneOf([...roles]),
    }
    const check = (inHeader: object, inPayload: object) => {
      const text = `${encode({ ...header, ...inHeader })}.${encode({ ...payload, ...inPayload })}`
      expect(refusal(sign(text))).toBeOneOf(['invalid_token', 'token_expired', sound])
    }
    const claimNames = ['iss', 'aud', 'sub', 'sid', 'gen', 'jti', 'iat', 'exp', 'nbf', 'role', '__proto__']
    const oddities: unknown[] = [1e300, -1e300, -1, 2 ** 31, 2 ** 53, '', '1', 'x', null, {}, [], { toString: 1 }]
    for (const name of claimNames) for (const value of oddities) check({}, { [name]: value })

    const changes = (names: string[]) =>
      fc.dictionary(fc.constantFrom(...names), fc.oneof(fc.jsonValue(), fc.constantFrom(...oddities)), { maxKeys: 2 })
    fc.assert(
      fc.property(changes(['alg', 'typ', 'kid', 'crit', 'jwk', 'b64', '__proto__']), changes(claimNames), check),
    )
  })
})
