// What the peers have in common: the environment they read, and the form of their answers.
import { createSecretKey } from 'node:crypto'
import type { AddressInfo } from 'node:net'

const environment = (name: string) => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing`)
  return value
}

export const databaseUrl = environment('DATABASE_URL')
/** The path of the SQLite file; undefined on PostgreSQL. */
export const sqliteFile = databaseUrl.startsWith('sqlite:///') ? databaseUrl.slice('sqlite:///'.length) : undefined
/** Connections to PostgreSQL, as many as the template's. */
export const poolSize = 10
/** As the template opens its files: better-sqlite3 was built to answer before a commit is on the disk. */
export const sqlitePragmas = ['journal_mode = wal', 'synchronous = full', 'foreign_keys = on', 'secure_delete = on']

const secret = environment('JWT_SECRET_KEY')
/** How the template signs its access tokens (RFC 9068). As a KeyObject, which jsonwebtoken checks three times as fast as text. */
export const accessTokens = {
  secret,
  key: createSecretKey(secret, 'utf8'),
  typ: 'at+jwt',
  issuer: 'TypeScript Backend Template',
} as const

export const itemStatuses = ['draft', 'active', 'archived'] as const

/** What an item keeps for searches. */
export const folded = ({ name, description }: { name: string; description: string | null }) => ({
  name_folded: name.toLowerCase(),
  description_folded: description === null ? null : description.toLowerCase(),
})

export interface Page {
  page: number
  per_page: number
}

export function paginate({ page, per_page }: Page, total: number) {
  const total_pages = Math.ceil(total / per_page)
  return { total, page, per_page, total_pages, has_next: page < total_pages, has_prev: page > 1 }
}

export const success = <T>(data: T) => ({ success: true, data, timestamp: new Date().toISOString() })

const codes: Record<number, string> = { 400: 'validation_error', 401: 'invalid_token', 404: 'not_found' }

export const failure = (status: number, message: string) => ({
  success: false,
  message,
  code: codes[status] ?? 'internal_error',
  timestamp: new Date().toISOString(),
})

export const bearerToken = (authorization = '') => /^Bearer +(\S+)$/i.exec(authorization)?.[1]

export const listenOn = { host: '127.0.0.1', port: Number(process.env['PORT'] ?? 0) }

/** Says where the server listens, as the template does. */
export function ready(address: AddressInfo | string | null) {
  if (typeof address === 'object' && address) console.log(`http://127.0.0.1:${address.port}`)
}

process.once('SIGTERM', () => process.exit())
