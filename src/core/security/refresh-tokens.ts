import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { Config } from '../config.ts'

/** What a refresh token says: which session, and how often it had been rotated. */
interface RefreshClaims {
  sid: string
  gen: number
}

export interface RefreshTokens {
  /** The same claims give the same token. */
  sign(claims: RefreshClaims): string
  /** Gives undefined for a token that is not ours, whatever is wrong with it. */
  verify(token: string): RefreshClaims | undefined
}

const format = /^(r1\.([\w-]{8})\.([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\.(0|[1-9]\d{0,8}))\.([\w-]{43})$/

/**
 * Refresh tokens: `r1.<key id>.<session>.<generation>.<MAC>`. The MAC binds the rest under a key derived
 * from `SECRET_KEY`, so a forged one is refused before the database is asked, nothing secret is
 * stored, and the same successor can be made again for an honest retry.
 */
export function createRefreshTokens(config: Config): RefreshTokens {
  const keys = new Map(
    [config.SECRET_KEY, ...config.SECRET_KEY_PREVIOUS].map((secret) => [
      derive(secret, 'id').toString('base64url').slice(0, 8),
      derive(secret, 'mac'),
    ]),
  )
  const [newest] = keys.keys()
  const mac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest('base64url')

  return {
    sign({ sid, gen }) {
      const text = `r1.${newest}.${sid}.${gen}`
      return `${text}.${mac(keys.get(newest!)!, text)}`
    },
    verify(token) {
      const [, text = '', keyId = '', sid = '', gen = '', given = ''] = format.exec(token) ?? []
      const key = keys.get(keyId)
      if (!key || !timingSafeEqual(Buffer.from(mac(key, text)), Buffer.from(given))) return undefined
      return { sid, gen: Number(gen) }
    },
  }
}

const derive = (secret: string, use: string) => Buffer.from(hkdfSync('sha256', secret, '', `refresh token ${use}`, 32))
