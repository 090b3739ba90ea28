import { createHmac, createPublicKey, type webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createVerifier, TokenError } from 'fast-jwt'
import { describe, expect, test, vi } from 'vitest'
import { UnauthorizedError } from '../../src/core/errors.ts'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import { environment, settings } from '../support/settings.ts'
import { otherSpellings } from './arbitraries.ts'

interface Vector {
  tcId: number
  comment: string
  jws: string
  result: 'valid' | 'invalid'
}
interface Group {
  comment: string
  private: webcrypto.JsonWebKey
  public?: webcrypto.JsonWebKey
  tests: Vector[]
}

const file = join(import.meta.dirname, '../vectors/jwt/json_web_signature_test.json')
const { testGroups: groups } = JSON.parse(readFileSync(file, 'utf8')) as { testGroups: Group[] }
const vectors = groups.flatMap((group) => group.tests.map((vector) => ({ ...vector, group })))
const withHmac = vectors.filter(({ group }) => group.private.kty === 'oct')
const withKeyPair = vectors.filter(({ group }) => group.private.kty !== 'oct')
const tokenOf = (tcId: number) => vectors.find((vector) => vector.tcId === tcId)!.jws

/** The library's verifier with its algorithm fixed, as `access-tokens.ts` makes it. */
const verifier = (key: string | Buffer) => createVerifier({ key, algorithms: ['HS256'] })

/**
 * Whether a verifier takes a token for its signature. The vectors sign plain text, at which a JWT's verifier
 * stops before it comes to the signature; so what is no JSON object is read as an empty one meanwhile.
 */
function accepts(verify: (token: string) => unknown, token: string): boolean {
  const { parse } = JSON
  const lenient = vi.spyOn(JSON, 'parse').mockImplementation((text) => {
    try {
      return Object(parse(text))
    } catch {
      return {}
    }
  })
  try {
    verify(token)
    return true
  } catch (error) {
    if (error instanceof TokenError) return false
    throw error
  } finally {
    lenient.mockRestore()
  }
}

/** The code with which the application's own verifier refuses a token. */
function refusal(token: string): unknown {
  try {
    createAccessTokens(settings()).verify(token)
    return 'accepted'
  } catch (error) {
    return error instanceof UnauthorizedError ? error.code : error
  }
}

test('the vectors are all there', () => {
  expect(vectors).toHaveLength(401)
  expect(withHmac).toHaveLength(40)
})

describe('the verdict on an HMAC is that of the vectors (RFC 7515 §5.2)', () => {
  /** Where it is not: see the README beside the vectors, and for 375 the last tests here. */
  const differing: Record<number, boolean> = { 367: true, 370: true, 372: false, 373: false, 375: true }

  test.for(withHmac)('$tcId $comment: $result', ({ tcId, jws, result, group }) => {
    const key = Buffer.from(group.private.k!, 'base64url')
    expect(accepts(verifier(key), jws)).toBe(differing[tcId] ?? result === 'valid')
  })

  test('two that are called invalid are a valid one, letter by letter', () => {
    expect([tokenOf(367), tokenOf(370)]).toEqual([tokenOf(357), tokenOf(357)])
  })
})

describe('a verifier of HMACs refuses every token of a key pair (RFC 8725 §3.1)', () => {
  test('also when its secret is the public key, in PEM', () => {
    const accepted = withKeyPair.filter(({ jws, group }) => {
      const key = createPublicKey({ key: group.public!, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
      return accepts(verifier(key), jws)
    })
    expect(withKeyPair).toHaveLength(361)
    expect(accepted).toEqual([])
  })

  test('and every token at all when the secret is not that of the token', () => {
    const verify = verifier(environment.JWT_SECRET_KEY)
    expect(vectors.filter(({ jws }) => accepts(verify, jws))).toEqual([])
  })
})

test('no token of the vectors is an access token: each is invalid_token', () => {
  expect(new Set(vectors.map(({ jws }) => refusal(jws)))).toEqual(new Set(['invalid_token']))
})

describe('the fault of vector 375, spare bits that are set, in an access token', () => {
  const [header, payload, signature] = createAccessTokens(settings())
    .sign({ sub: crypto.randomUUID(), sid: crypto.randomUUID(), gen: 1, role: 'user' })
    .split('.') as [string, string, string]
  const sign = (text: string) =>
    `${text}.${createHmac('sha256', environment.JWT_SECRET_KEY).update(text).digest('base64url')}`
  /** The same JSON, with spaces at its end until its base64url has spare bits; then with one of them set. */
  const spare = (part: string) => {
    let json = Buffer.from(part, 'base64url').toString()
    while (Buffer.byteLength(json) % 3 !== 2) json += ' '
    const good = Buffer.from(json).toString('base64url')
    return { good, bad: otherSpellings(good)[0]! }
  }

  test('is refused in the header and in the payload, though the signature is right', () => {
    const [head, body] = [spare(header), spare(payload)]
    expect(refusal(sign(`${head.good}.${body.good}`))).toBe('accepted')
    expect(refusal(sign(`${head.bad}.${body.good}`))).toBe('invalid_token')
    expect(refusal(sign(`${head.good}.${body.bad}`))).toBe('invalid_token')
  })

  test('is refused in the signature', () => {
    expect(refusal(`${header}.${payload}.${signature}`)).toBe('accepted')
    expect(refusal(`${header}.${payload}.${otherSpellings(signature)[0]}`)).toBe('invalid_token')
  })
})
