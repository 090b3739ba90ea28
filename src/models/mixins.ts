import { p } from '@mikro-orm/core'
import type { GeneratedAlways } from 'kysely'

/** A point in time. In a row it is what it is on the wire: ISO 8601, UTC, with milliseconds. */
export const time = () => p.datetime(3).$type<string>()

/** Text that is stored encrypted, and read and written as plain text. List its column in `encrypted.ts`. */
export const encrypted = () => p.text().comment('encrypted')

/** A copy of a text as `fold` gives it, for search and order without regard to letter case. Ordered by its bytes, on both databases. */
export const folded = () => p.text().columnType('text collate "C"')

/** The integer key: small and fast in joins. It never leaves the process. 64 bits: a busy table counts past 32 within a year. */
export const primaryKey = {
  id: p.bigint('number').primary().autoincrement(),
}

/** The key that clients see: random, so that nobody can count or guess rows. */
export const publicId = {
  public_id: p.uuid().defaultRaw('gen_random_uuid()').unique(),
}

export const timestamps = {
  created_at: time().defaultRaw('now()'),
  updated_at: time().defaultRaw('now()'),
}

/** Counts the changes that clients can see: each sets `version = version + 1`. Entity tags are made of it. */
export const versioned = {
  version: p.integer().default(1),
}

/** `is_deleted` is generated from `deleted_at`, so the flag and the time cannot disagree. */
export const softDelete = {
  deleted_at: time().strictNullable(),
  is_deleted: p.boolean().$type<GeneratedAlways<boolean>>().generated('(deleted_at is not null) stored'),
}
