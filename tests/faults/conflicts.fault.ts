import { sql } from 'kysely'
import { expect } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { openDatabase } from '../../src/db/database.ts'
import { freshDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'
import { register, send } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { Server } from './support/server.ts'

const clients = 20

/** The URL with settings of PostgreSQL for each of its connections. */
const withOptions = (url: string, ...options: string[]) =>
  `${url}?options=${encodeURIComponent(options.map((option) => `-c ${option}`).join(' '))}`

const conflicts = {
  'deadlocks (40P01)': ['deadlock_timeout=20ms'],
  'serialization failures (40001)': ['default_transaction_isolation=serializable', 'deadlock_timeout=20ms'],
}

for (const [title, options] of Object.entries(conflicts))
  fault(
    `${title} between transactions`,
    {
      promise: 'A transaction is run again, up to five times; it happens once, or ends as if the database were away',
      on: ['postgresql'],
    },
    async () => {
      const url = withOptions(await freshDatabase('postgresql'), ...options)
      const database = openDatabase(settings({ DATABASE_URL: url }))
      const { query, transaction } = database
      await sql`create table accounts (id integer primary key, amount integer)`.execute(query())
      await sql`insert into accounts select n, 1000 from generate_series(1, 4) as n`.execute(query())
      let [begun, done, refused] = [0, 0, 0]
      const any = () => 1 + Math.floor(Math.random() * 4)
      /** Takes the two rows in the order of the transfer, so that two of them meet head on. */
      const transfer = (from: number, to: number) =>
        transaction(async () => {
          begun++
          await sql`update accounts set amount = amount - 1 where id = ${from}`.execute(query())
          await sql`update accounts set amount = amount + 1 where id = ${to}`.execute(query())
        })
      async function client() {
        for (let n = 0; n < 25; n++) {
          const error = await transfer(any(), any()).then(
            () => undefined,
            (thrown: unknown) => thrown,
          )
          if (error === undefined) done++
          else if (error instanceof UnavailableError) refused++
          else throw error
        }
      }
      await Promise.all(Array.from({ length: clients }, client))
      const { rows } = await sql<{ total: number }>`select sum(amount) as total from accounts`.execute(query())
      await database.close()

      expect(rows).toEqual([{ total: 4000 }])
      const again = begun - done - refused
      expect(again).toBeGreaterThan(0)
      expect(done).toBeGreaterThan(0)
      return {
        done: `${clients} clients made ${done + refused} transfers between 4 accounts, in any order`,
        seen: `run again ${again} times; ${done} happened, ${refused} ended in 503; the total is what it was`,
      }
    },
  )

fault(
  'serialization failures (40001) between requests',
  {
    promise: 'A statement by itself is run again too; each request ends in success or in 503 with Retry-After',
    on: ['postgresql'],
  },
  async ({ project }) => {
    const url = await freshDatabase('postgresql')
    const server = await Server.start(project, withOptions(url, ...conflicts['serialization failures (40001)']))
    const token = await register(server.address)
    const items = `${server.address}/api/v1/items`
    const added = await send(items, { body: { name: 'contended' }, token })
    const { public_id } = (JSON.parse(added.body) as { data: { public_id: string } }).data
    const statuses: Record<number, number> = {}
    async function client() {
      for (let n = 0; n < 25; n++) {
        const answer = await send(`${items}/${public_id}`, { method: 'PATCH', body: { name: `name ${n}` }, token })
        statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
        if (answer.status !== 200)
          expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': expect.anything() } })
      }
    }
    await Promise.all(Array.from({ length: clients }, client))
    return {
      done: `${clients} clients changed one item ${clients * 25} times`,
      seen: `${statuses[200]} times 200, ${statuses[503] ?? 0} times 503`,
    }
  },
)
