// Access tokens of the template, checked by hand: signature, type, issuer, audience and time.
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'

const issuer = process.env['APP_NAME'] ?? 'TypeScript Backend Template'
const key = createSecretKey(Buffer.from(process.env['JWT_SECRET_KEY']!))
/** Seconds that two clocks may differ. */
const skew = 10

interface Claims {
  sub: string
  sid: string
}

/** Gives undefined for a token with any fault. */
export function verifyToken(token: string): Claims | undefined {
  const [header = '', payload = '', signature = '', ...rest] = token.split('.')
  if (rest.length > 0) return undefined
  // Compared in its one spelling, so that other spellings of the same bytes are refused.
  const expected = createHmac('sha256', key).update(`${header}.${payload}`).digest('base64url')
  if (signature.length !== expected.length || !timingSafeEqual(Buffer.from(signature), Buffer.from(expected)))
    return undefined
  // Whoever signed it holds the key, so both parts are JSON.
  const { alg, typ } = decode(header)
  const { iss, aud, exp, iat, sub, sid } = decode(payload)
  const now = Date.now() / 1000
  if (alg !== 'HS256' || typ !== 'at+jwt' || iss !== issuer || aud !== issuer) return undefined
  if (typeof exp !== 'number' || exp + skew <= now || typeof iat !== 'number' || iat > now + skew) return undefined
  return typeof sub === 'string' && typeof sid === 'string' ? { sub, sid } : undefined
}

const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
