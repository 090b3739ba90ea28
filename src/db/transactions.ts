import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql, type Kysely, type Transaction } from 'kysely'
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
  /** Where the transaction stays open behind the work that opened it, until the frame ends. */
  held?: Held | undefined
}

interface Held {
  begin: () => Promise<unknown>
  open?: OpenTransaction
  /** Settled when nothing runs in it. */
  last: Promise<unknown>
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

  /** All of `work` in a transaction that stays open, unless the work fails that opened it. */
  async function runHeld<T>(scope: Scope, held: Held, work: () => Promise<T>): Promise<T> {
    if (scope.transaction) return runPart(scope, scope.transaction, work)
    try {
      held.open = await openTransaction(pool)
      scope.transaction = held.open.transaction
      return await scopes.run({ ...scope, held: undefined }, async () => {
        await held.begin()
        return work()
      })
    } catch (error) {
      await rollBack(scope, held, error)
      throw error
    }
  }

  /** All of `work` in a transaction in which other work was done. That stands if this one fails, as it would by itself. */
  async function runPart<T>(scope: Scope, opened: Transaction<Tables>, work: () => Promise<T>): Promise<T> {
    const afterCommit: (() => void)[] = []
    await sql`savepoint part`.execute(opened)
    try {
      const result = await scopes.run({ transaction: opened, afterCommit }, work)
      await sql`release savepoint part`.execute(opened)
      scope.afterCommit.push(...afterCommit)
      return result
    } catch (error) {
      // Where even this fails, the next statement does too, and all is undone.
      await sql`rollback to savepoint part`.execute(opened).catch(() => {})
      throw error
    }
  }

  async function rollBack(scope: Scope, held: Held, reason: unknown): Promise<void> {
    scope.transaction = undefined
    scope.afterCommit = []
    await held.open?.rollBack(reason)
  }

  async function transaction<T>(work: () => Promise<T>): Promise<T> {
    const scope = scopes.getStore()
    if (!scope?.held) return scope?.transaction ? work() : retry(() => runAlone(work))
    // Whoever comes when the frame has ended is on their own.
    return inTurn(scope.held, () => (scope.held ? runHeld(scope, scope.held, work) : retry(() => runAlone(work))))
  }

  /** Ends a frame with its last statements. */
  async function commitWith(scope: Scope, held: Held, last: () => Promise<unknown>): Promise<void> {
    try {
      await (scope.transaction ? last() : runHeld(scope, held, last))
    } catch (error) {
      await rollBack(scope, held, error)
      throw error
    }
    scope.transaction = undefined
    await held.open?.commit()
    for (const tell of scope.afterCommit) tell()
  }

  /** Runs work, and ends the transaction that it opened, or has one of its own. */
  function runFramed<T>(work: () => Promise<T>, { begin, complete, abandon }: Frame<T>): Promise<T> {
    const held: Held = { begin, last: Promise.resolve() }
    const scope: Scope = { afterCommit: [], held }
    const end = (last: () => Promise<unknown>) =>
      inTurn(held, () => {
        scope.held = undefined
        return last()
      })
    return scopes.run(scope, async () => {
      let result: T
      try {
        result = await work()
      } catch (error) {
        await end(async () => {
          if (!scope.transaction) return
          if (isRetryable(error)) await rollBack(scope, held, error)
          else await commitWith(scope, held, abandon)
        })
        throw error
      }
      await end(() => commitWith(scope, held, () => complete(result)))
      return result
    })
  }

  return {
    current,
    transaction,

    single: <T>(work: () => Promise<T>): Promise<T> => (scopes.getStore()?.held ? transaction(work) : work()),

    // A part of a transaction that others have undone cannot be run again by itself; all of it can.
    frame: <T>(work: () => Promise<T>, frame: Frame<T>): Promise<T> => retry(() => runFramed(work, frame)),

    afterCommit(tell: () => void): void {
      const scope = scopes.getStore()
      if (scope?.transaction) scope.afterCommit.push(tell)
      else tell()
    },
  }
}

/** One after another: of several at once, each would open a transaction, and one alone be committed. */
function inTurn<T>(held: Held, work: () => Promise<T>): Promise<T> {
  const turn = held.last.then(work)
  held.last = turn.catch(() => {})
  return turn
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
