import type { Insertable } from 'kysely'
import type { Passwords } from '../core/security/passwords.ts'
import { itemStatuses } from '../models/enums.ts'
import type { Tables } from '../models/index.ts'
import type { Database } from './database.ts'
import { seededPassword } from './seed.ts'

/** Rows sent by one statement: SQLite takes 32 766 parameters. */
const batch = 1000
/** Accounts among whom the items are divided. */
const owners = 1000
const year = 365 * 24 * 60 * 60 * 1000

const first = ['Ada', 'Ben', 'Chloé', 'Dmitri', 'Elif', 'Fatima', 'Grace', 'Hiro', 'Inês', 'Jürgen', 'Kofi', 'Zoë']
const last = ['Lovelace', 'Okafor', 'Müller', 'Nguyen', 'Haddad', 'Silva', 'Kowalski', 'Tanaka', 'Ødegård', 'Smith']
const verbs = ['Write', 'Review', 'Plan', 'Measure', 'Mend', 'Ship', 'Test', 'Translate', 'Paint', 'Order', 'Draw']
const things = ['invoice', 'garden shed', 'release', 'café menu', 'report', 'bridge', 'schedule', 'parser', 'brochure']
const places = ['in Lisbon', 'for Monday', 'with the team', 'at the harbour', 'for the board', 'in Kraków', 'again']

/** The same for the same number: two databases filled alike hold alike. The factors share no divisor with the lists' lengths. */
const pick = <T>(list: readonly T[], number: number, factor: number): T =>
  list[Math.floor(number * factor) % list.length]!

/**
 * What is missing to so many accounts and items in all: nothing when it is run again. `add` sends it in batches,
 * each a statement of its own, and calls `advance` with the number of rows after each; memory does not grow with the number.
 */
export async function planBulk(database: Database, passwords: Passwords, wanted: { users: number; items: number }) {
  const { query } = database
  const plan = async <Table extends 'users' | 'items'>(
    table: Table,
    prepare: (missing: number) => Promise<(number: number) => Insertable<Tables[Table]>>,
  ) => {
    const { count, newest } = await state(database, table)
    const missing = Math.max(0, wanted[table] - count)
    return {
      missing,
      async add(advance: (rows: number) => void) {
        if (missing === 0) return
        const row = await prepare(missing)
        for (let added = 0; added < missing; added += batch) {
          const rows = Array.from({ length: Math.min(batch, missing - added) }, (_, at) => row(newest + added + at + 1))
          await query().insertInto(table).values(rows).execute()
          advance(rows.length)
        }
      },
    }
  }
  return {
    users: await plan('users', async () => userMaker(await passwords.hash(seededPassword))),
    items: await plan('items', async (missing) => {
      const { newest } = await state(database, 'items')
      const people = await query().selectFrom('users').select('id').orderBy('id', 'desc').limit(owners).execute()
      return itemMaker(
        people.map(({ id }) => id),
        newest,
        missing,
      )
    }),
  }
}

/** Live rows, and the number of the newest of all. */
async function state({ query }: Database, table: 'users' | 'items') {
  const { count } = await query()
    .selectFrom(table)
    .where('deleted_at', 'is', null)
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  const latest = await query().selectFrom(table).select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
  return { count, newest: latest?.id ?? 0 }
}

/** All have one password hash: hashing takes longer than anything else here. */
const userMaker = (password_hash: string) => (number: number) => {
  const [first_name, last_name] = [pick(first, number, 1), pick(last, number, 7)]
  const letters = `${first_name}.${last_name}`
    .normalize('NFD')
    .replaceAll(/[^a-z.]/gi, '')
    .toLowerCase()
  return {
    email: `${letters}.${number}@example.com`,
    password_hash,
    first_name,
    last_name,
    is_active: number % 50 !== 0,
    is_verified: number % 3 !== 0,
  }
}

/** Spread over the year before now, the newest last, as they would have come. */
const itemMaker = (people: number[], newest: number, missing: number) => {
  const now = Date.now()
  return (number: number) => {
    const thing = `${pick(things, number, 5)} ${pick(places, number, 3)}`
    const made = new Date(now - year * (1 - (number - newest) / missing)).toISOString()
    return {
      name: `${pick(verbs, number, 1)} the ${thing} (${number})`,
      description: number % 4 === 0 ? null : `About the ${thing}: ${pick(verbs, number, 7).toLowerCase()} it first.`,
      status: number % 10 < 6 ? itemStatuses[1] : pick(itemStatuses, number, 1),
      priority: 1 + (number % 5),
      owner_id: number % 5 === 0 || people.length === 0 ? null : pick(people, number, 13),
      created_at: made,
      updated_at: made,
    }
  }
}
