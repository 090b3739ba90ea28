import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { UnavailableError } from '../../../src/core/errors.ts'
import { openDatabase } from '../../../src/db/database.ts'
import { settings } from '../../support/settings.ts'

// A process that moves money until it is killed: `teller.ts <accounts> <tasks>`, over DATABASE_URL. It writes a line
// for each transfer that was acknowledged, for each that was run again, and for each fault.

const [accounts, tasks] = process.argv.slice(2).map(Number) as [number, number]
const database = openDatabase(settings({ DATABASE_URL: process.env['DATABASE_URL']! }))
const tell = (line: string) => process.stdout.write(`${line}\n`)

class PoorError extends Error {}

/** Credits first: what is not there to be debited must be undone. */
async function transfer(id: string, source: number, target: number, amount: number): Promise<void> {
  let attempts = 0
  await database.transaction(async () => {
    if (++attempts > 1) tell('again')
    const query = database.query()
    await sql`update accounts set balance = balance + ${amount} where id = ${target}`.execute(query)
    const debit = sql`update accounts set balance = balance - ${amount} where id = ${source} and balance >= ${amount}`
    if (!(await debit.execute(query)).numAffectedRows) throw new PoorError()
    await sql`insert into transfers (id, source, target, amount) values (${id}, ${source}, ${target}, ${amount})`.execute(
      query,
    )
  })
}

async function task() {
  for (;;) {
    const id = randomUUID()
    const source = Math.floor(Math.random() * accounts)
    const target = (source + 1 + Math.floor(Math.random() * (accounts - 1))) % accounts
    try {
      await transfer(id, source, target, 1 + Math.floor(Math.random() * 50))
      tell(`done ${id}`)
    } catch (error) {
      if (error instanceof UnavailableError) tell('unavailable')
      else if (error instanceof PoorError) tell('poor')
      else tell(`fault ${String(error)}`)
    }
  }
}

await Promise.all(Array.from({ length: tasks }, task))
