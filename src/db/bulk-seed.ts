import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery, sql } from 'kysely'
import type { Passwords } from '../core/security/passwords.ts'
import { itemStatuses } from '../models/enums.ts'
import { foldedTexts } from '../repositories/item.repository.ts'
import type { Database } from './database.ts'
import { seededPassword } from './seed.ts'

/** Rows of one transaction: SQLite's other writers wait for less than a second, and memory does not grow with the number. */
const batch = 10_000
/** Milliseconds between two transactions: writers who wait for SQLite's file try again within as long. */
const pause = 25
/** Accounts among whom the items are divided. */
const owners = 1000
const year = 365 * 24 * 60 * 60 * 1000

const first = ['Ada', 'Ben', 'Chloé', 'Dmitri', 'Elif', 'Fatima', 'Grace', 'Hiro', 'Inês', 'Jürgen', 'Kofi', 'Zoë']
const last = ['Lovelace', 'Okafor', 'Müller', 'Nguyen', 'Haddad', 'Silva', 'Kowalski', 'Tanaka', 'Ødegård', 'Smith']
const verbs = ['Write', 'Review', 'Plan', 'Measure', 'Mend', 'Ship', 'Test', 'Translate', 'Paint', 'Order', 'Draw']
const things = ['invoice', 'garden shed', 'release', 'café menu', 'report', 'bridge', 'schedule', 'parser', 'brochure']
const places = ['in Lisbon', 'for Monday', 'with the team', 'at the harbour', 'for the board', 'in Kraków', 'again']

/** The same for the same number, so that two databases filled alike hold alike. Each factor walks through its list in another order. */
const pick = <T>(list: readonly T[], number: number, factor: number): T => list[(number * factor) % list.length]!

/** What a table holds: how many live rows, and the key of the newest, from which new ones are numbered on. */
interface Tally {
  count: number
  newest: number
}

type Table = 'users' | 'items'

/**
 * How many live rows a table holds. It waits for a batch that another call is adding: a request may have committed a row
 * among its numbers, and what the batch has below that one would never be counted.
 */
export function countRows({ engine, query, transaction }: Database, table: Table): Promise<Tally> {
  return transaction(async () => {
    await query().executeQuery(CompiledQuery.raw(engine.migrationLock))
    const { rows } = await sql<Tally>`
      select count(*) as count, (select coalesce(max(id), 0) from ${sql.table(table)}) as newest
      from ${sql.table(table)} where deleted_at is null
    `.execute(query())
    return rows[0]!
  })
}

/** The same a while later: only what came since is counted, be it from here or from elsewhere. */
async function countOn(database: Database, table: Table, { count, newest }: Tally): Promise<Tally> {
  const { rows } = await sql<Tally>`
    select ${count} + count(case when deleted_at is null then 1 end) as count, coalesce(max(id), ${newest}) as newest
    from ${sql.table(table)} where id > ${newest}
  `.execute(database.query())
  return rows[0]!
}

/** How many rows there are to be in all. `advance` is called with the number of rows after each batch. */
interface Goal {
  start: Tally
  wanted: number
  advance: (rows: number) => void
}

/** Makes a row by its number. `left` falls from near 1 to 0 as the work goes on. */
type Make = (number: number, left: number) => Record<string, unknown>

/** Adds accounts. All have one password hash: hashing takes longer than anything else here. */
export async function addUsers(database: Database, passwords: Passwords, goal: Goal): Promise<number> {
  const password_hash = await passwords.hash(seededPassword)
  return fill(database, 'users', goal, (number) => ({ ...person(number), password_hash }))
}

/** Adds items, spread over the year before now, the newest last, as they would have come. */
export async function addItems(database: Database, goal: Goal): Promise<number> {
  const people = await database.query().selectFrom('users').select('id').orderBy('id', 'desc').limit(owners).execute()
  const now = Date.now()
  return fill(database, 'items', goal, (number, left) => {
    const made = new Date(now - year * left).toISOString()
    // One in five is nobody's; the rest go round, so that everybody has some.
    const owner = number % 5 === 0 || people.length === 0 ? null : pick(people, number - Math.floor(number / 5), 1)
    const public_id = risingId(number)
    return { ...item(number), public_id, owner_id: owner?.id ?? null, created_at: made, updated_at: made }
  })
}

/**
 * Adds rows until there are as many as wanted. Gives how many it added. Every index is kept in step all along, and each
 * batch is a transaction of its own: an interruption leaves a right database, and the next call goes on from there.
 */
async function fill(database: Database, table: Table, { start, wanted, advance }: Goal, make: Make): Promise<number> {
  const { engine, query, transaction } = database
  const execute = (statement: string) => query().executeQuery(CompiledQuery.raw(statement))
  const missing = wanted - start.count

  /** Gives what was there before it, and how many rows it added. Of two calls at once the lock lets one count and add. */
  const addBatch = async (earlier: Tally) => {
    await execute(engine.migrationLock)
    const before = await countOn(database, table, earlier)
    const room = wanted - before.count
    const rows = Array.from({ length: Math.max(0, Math.min(batch, room)) }, (_, at) =>
      make(before.newest + at + 1, (room - at - 1) / missing),
    )
    if (rows.length > 0) await insert(database, table, rows)
    return { before, size: rows.length }
  }

  let state = { before: start, size: 0 }
  let added = 0
  while (state.before.count + state.size < wanted) {
    const { before } = state
    state = await transaction(() => addBatch(before))
    added += state.size
    advance(state.size)
    await sleep(pause)
  }
  if (added > 0) await execute(engine.settle(table))
  return added
}

/** One statement and one parameter for all rows: each statement costs, SQLite's search index above all. */
async function insert({ engine, query }: Database, table: Table, rows: Record<string, unknown>[]): Promise<void> {
  const columns = Object.keys(rows[0]!)
  const names = sql.join(columns.map((column) => sql.ref(column)))
  await sql`insert into ${sql.table(table)} (${names}) ${engine.unpack(table, columns, JSON.stringify(rows))}`.execute(
    query(),
  )
}

/** A random public id, but for a beginning that rises with the number: its index grows at one place rather than on every page. */
const risingId = (number: number): string =>
  ((number * 256) % 2 ** 32).toString(16).padStart(8, '0') + randomUUID().slice(8)

function person(number: number) {
  const [first_name, last_name] = [pick(first, number, 1), pick(last, number, 7)]
  const letters = `${first_name}.${last_name}`
    .normalize('NFD')
    .replaceAll(/[^a-z.]/gi, '')
    .toLowerCase()
  return {
    email: `${letters}.${number}@example.com`,
    first_name,
    last_name,
    is_active: number % 50 !== 0,
    is_verified: number % 3 !== 0,
  }
}

function item(number: number) {
  const thing = `${pick(things, number, 5)} ${pick(places, number, 3)}`
  const texts = {
    name: `${pick(verbs, number, 1)} the ${thing} (${number})`,
    description: number % 4 === 0 ? null : `About the ${thing}: ${pick(verbs, number, 7).toLowerCase()} it first.`,
  }
  return {
    ...texts,
    ...foldedTexts(texts),
    status: number % 10 < 6 ? itemStatuses[1] : pick(itemStatuses, number, 1),
    priority: 1 + (number % 5),
  }
}
