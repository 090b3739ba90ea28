import pg from 'pg'

const { builtins } = pg.types

/** A time is read as it is sent to clients: ISO 8601, UTC, milliseconds. A `bigint` (a count) is a number. */
export function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (oid === builtins.TIMESTAMPTZ) return readTime
  if (oid === builtins.INT8) return Number
  return pg.types.getTypeParser(oid, format)
}

/** In UTC with all milliseconds, as most are, it wants a few letters changed; that takes a tenth of reading it. */
const readTime = (value: string) =>
  value.length === 26 && value.endsWith('+00')
    ? `${value.slice(0, 10)}T${value.slice(11, 23)}Z`
    : new Date(value).toISOString()
