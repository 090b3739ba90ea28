import pg from 'pg'
import { ConflictError, UnavailableError } from '../core/errors.ts'

/** What both drivers put on their errors; each fills a part of it. */
interface DriverError extends Error {
  code?: string
  errcode?: number
  detail?: string
  routine?: string
}

/**
 * SQLSTATE: connection lost, out of resources, cancelled by a time limit, shutting down, lock not had; and a transaction
 * in which a statement failed that was not asked about.
 */
const unavailable = /^(08|53|57)...$|^55P03$|^25P0[234]$/
const networkFault = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_)/
const connectionLost =
  /^Connection terminated|^timeout exceeded when trying to connect|^Query read timeout|not queryable/
/** SQLite result codes: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN. */
const sqliteUnavailable = new Set([5, 6, 8, 10, 13, 14])
const sqliteUnique = 2067
const postgresqlUnique = '23505'

/** SQLSTATE of a serialization failure and of a deadlock: the whole transaction may be run again. */
const retryable = new Set(['40001', '40P01'])

/** Whether the database undid a transaction only because of others at the same moment. */
export const isRetryable = (error: unknown): boolean =>
  error instanceof UnavailableError && retryable.has((error.cause as DriverError | undefined)?.code ?? '')

/** The file is locked by another process (SQLITE_BUSY, with its extended codes in the higher bits). */
export const isBusy = (error: unknown): boolean => ((error as DriverError).errcode ?? 0) % 256 === 5

/** Whether the database itself refused something: a right is missing, or a file is no database. */
export const isRefusal = (error: unknown): error is Error =>
  error instanceof pg.DatabaseError || (error as DriverError).errcode !== undefined

/**
 * A migration changed the columns of a statement that PostgreSQL had parsed before. Known by the place in its source:
 * the message is in whichever language the server speaks, and the code is one of many faults.
 */
export const isStale = (error: unknown): boolean => (error as DriverError).routine === 'RevalidateCachedQuery'

/**
 * Turns a driver's error into what happened, the same on both databases: a `ConflictError` naming
 * the column (of several in an index the last), an `UnavailableError`, or the error itself where it is
 * a bug.
 */
export function explain(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code = '', errcode = 0, detail = '', message } = error as DriverError
  const columns =
    errcode === sqliteUnique
      ? message.match(/(\w+)$/)
      : code === postgresqlUnique
        ? // "Key (user_id, title)=(…) already exists.", in whichever language the server speaks.
          detail.match(/(\w+)"?\)=/)
        : undefined
  const column = columns === null ? 'value' : columns?.[1]
  if (column !== undefined) return new ConflictError(column, `This ${column} is already in use`, { cause: error })

  const away =
    unavailable.test(code) ||
    retryable.has(code) ||
    networkFault.test(code) ||
    connectionLost.test(message) ||
    isStale(error) ||
    sqliteUnavailable.has(errcode % 256)
  return away ? new UnavailableError('The database is not available right now', { cause: error }) : error
}
