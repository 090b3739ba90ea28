import { sql } from 'kysely'
import { expect } from 'vitest'
import { freshDatabase, type DatabaseKind } from '../support/databases.ts'
import type { Project } from '../support/process.ts'
import {
  accounts,
  balance,
  openBank,
  rowsOf,
  startReader,
  startTellers,
  tellers,
  type Transfer,
} from './support/bank.ts'
import { fault } from './support/fault.ts'

const rounds = 6
const promise = 'Whoever is killed in the middle of a transfer, the total is the same on every read'

async function shakeBank(kind: DatabaseKind, project: Project, isolation?: 'serializable') {
  const url = await freshDatabase(kind, true)
  const options = isolation ? `?options=${encodeURIComponent(`-c default_transaction_isolation=${isolation}`)}` : ''
  const database = await openBank(url + options)
  const reader = startReader(database, kind === 'sqlite' || isolation !== undefined)
  const bank = startTellers(project, url + options)
  let cut = 0
  for (let round = 0; round < rounds; round++) {
    await bank.more(50)
    await bank.replace(round)
    if (kind === 'sqlite') continue
    const others = sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`
    cut += (await rowsOf(others, database)).length
  }
  await bank.more(50)
  await bank.stop()
  await reader.stop()

  const lines = bank.lines()
  const acknowledged = bank.acknowledged().map((line) => line.slice('done '.length))
  const transfers = await rowsOf(sql<Transfer>`select * from transfers`, database)
  const done = new Set(transfers.map(({ id }) => id))
  expect(lines.filter((line) => line.startsWith('fault'))).toEqual([])
  expect(acknowledged.filter((id) => !done.has(id))).toEqual([])
  const balances = Array.from({ length: accounts }, () => balance)
  for (const { source, target, amount } of transfers) {
    balances[source]! -= amount
    balances[target]! += amount
  }
  const rows = await rowsOf(sql<{ balance: number }>`select balance from accounts order by id`, database)
  expect(rows.map((row) => row.balance)).toEqual(balances)
  expect(reader.totals).toMatchObject({ wrong: 0 })
  expect(reader.totals.read).toBeGreaterThan(0)
  const transfersSeen = `${acknowledged.length} transfers acknowledged, none lost`
  const totalsSeen = `${reader.totals.read} totals read, all the same`
  const killed = `${rounds} processes killed`
  const meanwhile = `while ${tellers} at a time moved money`
  // On SQLite writers wait for one another, and nothing is run again.
  if (kind === 'sqlite') return { failures: 0, done: `${killed} ${meanwhile}`, seen: `${transfersSeen}; ${totalsSeen}` }
  const again = lines.filter((line) => line === 'again').length
  const statistics = sql<{ n: number }>`select deadlocks as n from pg_stat_database where datname = current_database()`
  const deadlocks = (await rowsOf(statistics, database))[0]!.n
  return {
    /** What was run again for another reason: serialization failures, SQLSTATE 40001. */
    failures: again - deadlocks,
    done: `${killed} and ${cut} connections cut ${meanwhile}`,
    seen: `${transfersSeen}; ${again} times run again (${deadlocks} deadlocks); ${totalsSeen}`,
  }
}

fault('bank transfers that are killed', { promise }, async ({ kind, project }) => {
  const { done, seen } = await shakeBank(kind, project)
  return { done, seen }
})

fault(
  'bank transfers that are killed, under serializable isolation',
  { promise: `${promise}; serialization failures are retried`, on: ['postgresql'] },
  async ({ kind, project }) => {
    const { failures, done, seen } = await shakeBank(kind, project, 'serializable')
    expect(failures).toBeGreaterThan(0)
    return { done, seen }
  },
)
