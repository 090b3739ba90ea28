import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { ConflictError, UnavailableError } from '../../src/core/errors.ts'
import { explain, isBusy, isRetryable } from '../../src/db/errors.ts'

/** An error as a driver throws it. */
const driverError = (message: string, fields: object = {}) => Object.assign(new Error(message), fields)

const postgresql = (code: string, fields: object = {}) => driverError('told by the server', { code, ...fields })

/** What SQLite itself throws. */
function sqliteError(...statements: string[]): unknown {
  const database = new DatabaseSync(':memory:')
  database.exec(
    "create table users (id integer primary key, email text, name text check (name <> ''), parent integer references users)",
  )
  database.exec('create unique index users_email_unique on users (email)')
  try {
    for (const statement of statements) database.exec(statement)
  } catch (error) {
    return error
  } finally {
    database.close()
  }
  return undefined
}

const taken = "insert into users (email) values ('ada@example.com')"

test.for([
  ['PostgreSQL', postgresql('23505', { detail: 'Key (email)=(ada@example.com) already exists.' })],
  ['SQLite', sqliteError(taken, taken)],
])('a value that is taken is a conflict that names the column, on %s', ([, error]) => {
  const explained = explain(error)
  expect(explained).toBeInstanceOf(ConflictError)
  expect(explained).toMatchObject({
    message: 'This email is already in use',
    errors: [{ field: 'email', message: 'This email is already in use' }],
    cause: error,
  })
})

test('a statement that a migration made stale is an outage, in whichever language the server speaks', () => {
  const error = postgresql('0A000', { routine: 'RevalidateCachedQuery' })
  error.message = 'gecachter Plan darf den Ergebnistyp nicht ändern'
  expect(explain(error)).toBeInstanceOf(UnavailableError)
  expect(explain(postgresql('0A000'))).not.toBeInstanceOf(UnavailableError)
})

test('of several columns the last is named, in whichever language the server speaks', () => {
  const error = postgresql('23505', { detail: 'Schlüssel »(user_id, public_id)=(1, x)« existiert bereits.' })
  expect(explain(error)).toMatchObject({ errors: [{ field: 'public_id' }] })
})

test.for([
  ['08006', 'connection lost'],
  ['53300', 'too many connections'],
  ['53100', 'disk full'],
  ['57014', 'statement cancelled by its time limit'],
  ['57P01', 'killed by an operator'],
  ['57P03', 'starting up'],
  ['55P03', 'lock not had in time'],
  ['25P03', 'idle in a transaction for too long'],
  ['ECONNREFUSED', 'nobody listens'],
  ['ECONNRESET', 'cut'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'no name server'],
  ['ETIMEDOUT', 'no answer'],
] as const)('%s (%s) is an outage', ([code]) => {
  const error = postgresql(code)
  expect(explain(error)).toBeInstanceOf(UnavailableError)
  expect(explain(error)).toMatchObject({ code: 'unavailable', cause: error })
})

test.for([
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout exceeded when trying to connect',
  'Query read timeout',
  'Client has encountered a connection error and is not queryable',
])('"%s", which has no code, is an outage', (message) => {
  expect(explain(driverError(message))).toBeInstanceOf(UnavailableError)
})

test.for([
  [5, 'busy'],
  [261, 'busy, recovering'],
  [517, 'busy, snapshot'],
  [6, 'locked'],
  [8, 'read-only'],
  [778, 'writing failed'],
  [13, 'disk full'],
  [14, 'cannot open'],
])('SQLite result %d (%s) is an outage', ([errcode]) => {
  expect(explain(driverError('told by SQLite', { errcode }))).toBeInstanceOf(UnavailableError)
})

test('the message for the client tells nothing of the inside', () => {
  const error = driverError('connect ECONNREFUSED 10.1.2.3:5432', { code: 'ECONNREFUSED' })
  expect((explain(error) as Error).message).not.toMatch(/10\.1|5432|ECONN/)
})

test.for([
  ['a check', postgresql('23514', { table: 'items', constraint: 'items_priority_range' })],
  ['a foreign key', postgresql('23503', { table: 'items', constraint: 'items_owner_id_foreign' })],
  ['bad SQL', postgresql('42601')],
  ['a check on SQLite', sqliteError("insert into users (name) values ('')")],
  ['a foreign key on SQLite', sqliteError('insert into users (parent) values (7)')],
  ['bad SQL on SQLite', sqliteError('selec 1')],
  ['an error of ours', new TypeError('x is not a function')],
  ['what is no error at all', 'text'],
])('%s stays what it is: a bug', ([, error]) => {
  expect(error).toBeDefined()
  expect(explain(error)).toBe(error)
})

test('only serialization failures and deadlocks are worth another attempt', () => {
  expect(['40001', '40P01'].map((code) => isRetryable(explain(postgresql(code))))).toEqual([true, true])
  expect(['40000', '57014', '23505'].map((code) => isRetryable(explain(postgresql(code))))).toEqual([
    false,
    false,
    false,
  ])
  expect(isRetryable('40001')).toBe(false)
})

test('SQLite is busy under its extended codes too', () => {
  const codes = [5, 261, 517, 6, 14, 0]
  expect(codes.map((errcode) => isBusy(driverError('', { errcode })))).toEqual([true, true, true, false, false, false])
  expect(isBusy(new Error('no code'))).toBe(false)
})
