import { StatementSync, type SQLInputValue } from 'node:sqlite'
import pg from 'pg'
import { afterAll, beforeAll, vi, type MockInstance } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import type { Passwords } from '../../src/core/security/passwords.ts'

/**
 * What goes wrong: a bug throws; the database is away, with its connection, or refuses for the sake of another
 * transaction, and then may be asked again.
 */
type FailureKind = 'bug' | 'away' | 'conflict'

/** `before` a step it is not done at all; `after` it is done, and nobody hears of it. */
export interface Failure {
  kind: FailureKind
  when: 'before' | 'after'
}

/** Which failure a step meets; the first one is 0. */
export type Plan = (step: number) => Failure | undefined

const message = 'a failure was injected'

let plan: Plan | undefined
/** The steps of the work that is watched: the text of each statement, and the name of each other step. */
let steps: string[] = []

/**
 * Lets the statements of both drivers fail where they run, whoever sends them. Call it before what opens the database:
 * connections that are open already are not watched.
 */
export function useFailures(): void {
  const spies: MockInstance[] = []
  beforeAll(() => void spies.push(...breakSqlite(), breakPostgresql()))
  afterAll(() => spies.forEach((spy) => spy.mockRestore()))
}

/** Does some work, and lets its steps fail as planned. Gives its outcome, and the steps it came to. */
export async function withFailures<T>(planned: Plan, work: () => Promise<T>) {
  plan = planned
  steps = []
  try {
    const [result] = await Promise.allSettled([work()])
    return { result, steps }
  } finally {
    plan = undefined
  }
}

/** Whether an error is one that was planned, or comes of it: a connection that broke fails what follows. */
export function isInjected(error: unknown): boolean {
  return error instanceof UnavailableError || (error instanceof Error && error.message === message)
}

/**
 * Passwords whose hashing and checking can fail, for `vi.mock` of their module. Hashing is slow on purpose, so what was
 * asked before gets the same answer.
 */
export function breakPasswords(passwords: Passwords): Passwords {
  const fragile = <Given extends unknown[], T>(name: string, work: (...given: Given) => Promise<T>) => {
    const answers = new Map<string, Promise<T>>()
    const remembered = (...given: Given) => {
      const question = JSON.stringify(given)
      const answer = answers.get(question) ?? work(...given)
      answers.set(question, answer)
      return answer
    }
    return async (...given: Given): Promise<T> => {
      const failure = nextStep(name)
      const error = failure?.kind === 'bug' ? new Error(message) : new UnavailableError(message)
      if (failure?.when === 'before') throw error
      const result = await remembered(...given)
      if (failure) throw error
      return result
    }
  }
  return {
    ...passwords,
    hash: fragile('passwords.hash', passwords.hash),
    verify: fragile('passwords.verify', passwords.verify),
    check: fragile('passwords.check', passwords.check),
  }
}

function nextStep(name: string): Failure | undefined {
  // What cannot be rolled back is a connection that broke, and then the database does it.
  if (!plan || name === 'rollback') return undefined
  return plan(steps.push(name) - 1)
}

/** As both drivers tell it: SQLSTATE query_canceled or serialization_failure, and SQLITE_IOERR. */
const driverError = ({ kind }: Failure) =>
  Object.assign(
    new Error(message),
    { bug: {}, away: { code: '57014', errcode: 10 }, conflict: { code: '40001' } }[kind],
  )

function breakSqlite(): MockInstance[] {
  return (['all', 'run', 'iterate'] as const).map((method) => {
    const original = StatementSync.prototype[method] as (...values: SQLInputValue[]) => unknown
    return vi.spyOn(StatementSync.prototype, method).mockImplementation(function (this: StatementSync, ...values) {
      const failure = nextStep(this.sourceSQL)
      // Within one process no answer is lost: a transaction that could not be begun has not begun.
      const isBegin = this.sourceSQL.startsWith('begin')
      if (failure && (failure.when === 'before' || isBegin)) throw driverError(failure)
      const result = original.apply(this, values as SQLInputValue[])
      if (failure) throw driverError(failure)
      return result as never
    })
  })
}

function breakPostgresql(): MockInstance {
  const original = pg.Client.prototype.query as (...given: unknown[]) => unknown
  async function fail(client: pg.Client, given: unknown[], failure: Failure) {
    // No answer is lost but with the connection.
    if (failure.when === 'after') await original.apply(client, given)
    if (failure.when === 'after' || failure.kind === 'away') await client.end()
    throw driverError(failure)
  }
  return vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...given: unknown[]) {
    const [first] = given as [{ text: string } | string]
    const failure = nextStep(typeof first === 'string' ? first : first.text)
    return (failure ? fail(this, given, failure) : original.apply(this, given)) as never
  })
}
