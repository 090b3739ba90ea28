import type { Passwords } from '../core/security/passwords.ts'
import { itemStatuses } from '../models/enums.ts'
import { foldedTexts } from '../repositories/item.repository.ts'
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

/** The same for the same number, so that two databases filled alike hold alike. Each factor walks through its list in another order. */
const pick = <T>(list: readonly T[], number: number, factor: number): T => list[(number * factor) % list.length]!

/** How many live rows a table lacks to the number wanted. */
export async function countMissing({ query }: Database, table: 'users' | 'items', wanted: number): Promise<number> {
  const { count } = await query()
    .selectFrom(table)
    .where('deleted_at', 'is', null)
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Math.max(0, wanted - count)
}

/** Called with the number of rows after each batch, which is a statement of its own: memory does not grow with the number. */
type Advance = (rows: number) => void

/** Adds accounts. All have one password hash: hashing takes longer than anything else here. */
export async function addUsers(database: Database, passwords: Passwords, number: number, advance: Advance) {
  const password_hash = await passwords.hash(seededPassword)
  const newest = await newestId(database, 'users')
  for (const numbers of batches(number)) {
    const rows = numbers.map((at) => ({ ...person(newest + at), password_hash }))
    await database.query().insertInto('users').values(rows).execute()
    advance(rows.length)
  }
}

/** Adds items, spread over the year before now, the newest last, as they would have come. */
export async function addItems(database: Database, number: number, advance: Advance) {
  const { query } = database
  const newest = await newestId(database, 'items')
  const people = await query().selectFrom('users').select('id').orderBy('id', 'desc').limit(owners).execute()
  const now = Date.now()
  for (const numbers of batches(number)) {
    const rows = numbers.map((at) => {
      const made = new Date(now - year * (1 - at / number)).toISOString()
      const owner = at % 5 === 0 || people.length === 0 ? null : pick(people, at, 1)
      return { ...item(newest + at), owner_id: owner?.id ?? null, created_at: made, updated_at: made }
    })
    await query().insertInto('items').values(rows).execute()
    advance(rows.length)
  }
}

/** The numbers from 1 on, so many, a batch at a time. */
function* batches(count: number): Generator<number[]> {
  for (let done = 0; done < count; done += batch)
    yield Array.from({ length: Math.min(batch, count - done) }, (_, at) => done + at + 1)
}

/** New rows are numbered on from it, so that their e-mails are new too. */
async function newestId({ query }: Database, table: 'users' | 'items'): Promise<number> {
  const newest = await query().selectFrom(table).select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
  return newest?.id ?? 0
}

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
