import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Kysely, Transaction } from 'kysely'
import type { Tables } from '../models/index.ts'
import { isRetryable } from './errors.ts'

const attempts = 5

/**
 * Runs a whole transaction, or a statement outside of them, again, a few times, where the database undid it only
 * because of others at the same moment.
 */
export async function retry<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (!isRetryable(error) || attempt === attempts) throw error
      await sleep(Math.random() * 10 * 2 ** attempt)
    }
  }
}

/** What else belongs into the transaction of some work, so that all of it commits together. */
export interface Frame<T> {
  /** Comes first. */
  begin(): Promise<unknown>
  /** Comes last, with what the work gave. */
  complete(result: T): Promise<unknown>
  /** Comes last where the work failed after its own part of the transaction: what that part decided stands. */
  abandon(): Promise<unknown>
}

/** Where statements go at the moment. */
interface Scope {
  transaction?: Transaction<Tables> | undefined
  afterCommit: (() => void)[]
  /** Where the transaction stays open behind the work that opened it. */
  held?: { begin: () => Promise<unknown>; open?: OpenTransaction }
}

type OpenTransaction = Awaited<ReturnType<typeof openTransaction>>

/** The transactions of one database; see `Database` for what they promise. */
export function createTransactions(pool: Kysely<Tables>) {
  const scopes = new AsyncLocalStorage<Scope>()
  const current = () => scopes.getStore()?.transaction

  /** All of `work`, in a transaction of its own. */
  async function runAlone<T>(work: () => Promise<T>): Promise<T> {
    const afterCommit: (() => void)[] = []
    const result = await pool.transaction().execute((opened) => scopes.run({ transaction: opened, afterCommit }, work))
    for (const tell of afterCommit) tell()
    return result
  }

  /** All of `work` in a transaction that stays open, unless the work fails. */
  async function runHeld<T>(scope: Scope, held: NonNullable<Scope['held']>, work: () => Promise<T>): Promise<T> {
    held.open = await openTransaction(pool)
    scope.transaction = held.open.transaction
    try {
      await held.begin()
      return await work()
    } catch (error) {
      await rollBack(scope, error)
      throw error
    }
  }

  async function rollBack(scope: Scope, reason: unknown): Promise<void> {
    scope.transaction = undefined
    scope.afterCommit = []
    await scope.held?.open?.rollBack(reason)
  }

  async function transaction<T>(work: () => Promise<T>): Promise<T> {
    const scope = scopes.getStore()
    if (scope?.transaction) return work()
    // A frame is run again as a whole.
    return scope?.held ? runHeld(scope, scope.held, work) : retry(() => runAlone(work))
  }

  /** Ends a transaction that was held with its last statements. */
  async function commitWith(scope: Scope, last: () => Promise<unknown>): Promise<void> {
    try {
      await transaction(last)
    } catch (error) {
      if (scope.transaction) await rollBack(scope, error)
      throw error
    }
    scope.transaction = undefined
    await scope.held?.open?.commit()
    for (const tell of scope.afterCommit) tell()
  }

  return {
    current,
    transaction,

    single: <T>(work: () => Promise<T>): Promise<T> => (scopes.getStore()?.held ? transaction(work) : work()),

    frame: <T>(work: () => Promise<T>, { begin, complete, abandon }: Frame<T>): Promise<T> =>
      retry(() => {
        const scope: Scope = { afterCommit: [], held: { begin } }
        return scopes.run(scope, async () => {
          let result: T
          try {
            result = await work()
          } catch (error) {
            if (scope.transaction) await commitWith(scope, abandon)
            throw error
          }
          await commitWith(scope, () => complete(result))
          return result
        })
      }),

    afterCommit(tell: () => void): void {
      const scope = scopes.getStore()
      if (scope?.transaction) scope.afterCommit.push(tell)
      else tell()
    },
  }
}

/** A transaction that ends when it is told. Kysely's own such never gives the connection back when it cannot begin or commit. */
async function openTransaction(pool: Kysely<Tables>) {
  const opened = Promise.withResolvers<Transaction<Tables>>()
  const end = Promise.withResolvers<void>()
  const ended = pool.transaction().execute((transaction) => {
    opened.resolve(transaction)
    return end.promise
  })
  ended.catch(opened.reject)
  return {
    transaction: await opened.promise,
    async commit(): Promise<void> {
      end.resolve()
      await ended
    },
    async rollBack(reason: unknown): Promise<void> {
      end.reject(reason)
      await ended.catch(() => {})
    },
  }
}
