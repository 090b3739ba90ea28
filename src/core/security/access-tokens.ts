import { createHash, randomUUID } from 'node:crypto'
import { createDecoder, createSigner, createVerifier, TokenError } from 'fast-jwt'
import { z } from 'zod'
import { roles, type Role } from '../../models/enums.ts'
import type { Config } from '../config.ts'
import { UnauthorizedError } from '../errors.ts'

const tokenType = 'at+jwt'
/** Milliseconds that two servers' clocks may differ. */
const clockSkew = 10_000
/** Tokens that are remembered as good. Each takes about a kilobyte. */
const remembered = 5000

const claimsSchema = z.object({
  sub: z.guid(),
  sid: z.guid(),
  gen: z.int().min(0).max(2_147_483_647),
  jti: z.string().min(1),
  iat: z.int(),
  exp: z.int(),
  role: z.enum(roles),
})
type AccessClaims = Readonly<z.output<typeof claimsSchema>>

export interface AccessTokens {
  /** Seconds that a token lives. */
  readonly lifetime: number
  /** Signs a token for a user (public id), a session (public id) and its generation. */
  sign(claims: { sub: string; sid: string; gen: number; role: Role }): string
  /** @throws UnauthorizedError `token_expired` for a sound but old token, `invalid_token` for any other fault */
  verify(token: string): AccessClaims
}

/**
 * JWT access tokens as in RFC 9068. The algorithm comes from the configuration, never from the token
 * (RFC 8725 §3.1); of the header only `kid` is read, and only to choose among our own keys.
 */
export function createAccessTokens(config: Config): AccessTokens {
  const lifetime = config.JWT_ACCESS_TOKEN_EXPIRE_MINUTES * 60
  const secrets = [config.JWT_SECRET_KEY, ...config.JWT_SECRET_KEY_PREVIOUS]
  const newest = keyId(config.JWT_SECRET_KEY)
  const names = { iss: config.APP_NAME, aud: config.APP_NAME }
  const header = { alg: config.JWT_ALGORITHM, typ: tokenType, kid: newest }
  const signPayload = createSigner({ key: config.JWT_SECRET_KEY, algorithm: config.JWT_ALGORITHM, header, ...names })
  const readHeader = createDecoder({ complete: true })
  const verifiers = new Map(
    secrets.map((key) => [
      keyId(key),
      createVerifier({
        key,
        algorithms: [config.JWT_ALGORITHM],
        allowedIss: names.iss,
        allowedAud: names.aud,
        checkTyp: tokenType,
        clockTolerance: clockSkew,
        requiredClaims: ['iss', 'aud', 'sub', 'sid', 'gen', 'jti', 'iat', 'exp'],
      }),
    ]),
  )
  // A client sends the same token for minutes. What was found good stays good until it expires: whether its session
  // still lives is asked of the database each time.
  const good = new Map<string, AccessClaims>()

  function check(token: string): AccessClaims {
    if (!token.split('.').every(isCanonical)) throw new Error('another spelling of the same bytes')
    const kid: unknown = readHeader(token).header['kid'] ?? newest
    const claims = claimsSchema.parse(verifiers.get(String(kid))?.(token))
    if (claims.iat * 1000 > Date.now() + clockSkew) throw new Error('issued in the future')
    return claims
  }

  return {
    lifetime,
    sign(claims) {
      const iat = Math.floor(Date.now() / 1000)
      return signPayload({ ...claims, jti: randomUUID(), iat, exp: iat + lifetime })
    },
    verify(token) {
      const known = good.get(token)
      if (known && Date.now() <= known.exp * 1000 + clockSkew) return known
      try {
        const claims = check(token)
        const [oldest] = good.keys()
        if (good.size >= remembered && oldest !== undefined) good.delete(oldest)
        good.set(token, claims)
        return claims
      } catch (error) {
        good.delete(token)
        throw error instanceof TokenError && error.code === TokenError.codes.expired
          ? new UnauthorizedError('token_expired', 'The access token has expired')
          : new UnauthorizedError('invalid_token', 'The access token is not valid')
      }
    },
  }
}

/** Base64url can spell the same bytes in several ways, and fast-jwt reads them all: a token has one (RFC 4648 §3.5). */
const isCanonical = (part: string) => Buffer.from(part, 'base64url').toString('base64url') === part

/** A name for a key that tells nothing of it. */
const keyId = (secret: string) => createHash('sha256').update(`key id of ${secret}`).digest('base64url').slice(0, 8)
