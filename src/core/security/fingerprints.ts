import { createHmac, hkdfSync } from 'node:crypto'
import type { Config } from '../config.ts'

/** Gives the same hash for the same parts. */
export type Fingerprint = (...parts: string[]) => string

/**
 * Makes hashes under a key derived from `SECRET_KEY`, for what must be found again and not be read. Without the
 * key nobody can try all addresses out, as with a plain hash.
 */
export function createFingerprint({ SECRET_KEY }: Pick<Config, 'SECRET_KEY'>): Fingerprint {
  const key = Buffer.from(hkdfSync('sha256', SECRET_KEY, '', 'fingerprint', 32))
  return (...parts) => createHmac('sha256', key).update(JSON.stringify(parts)).digest('hex')
}
