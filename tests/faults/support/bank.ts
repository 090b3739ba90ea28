import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { onTestFinished } from 'vitest'
import { UnavailableError } from '../../../src/core/errors.ts'
import { openDatabase, type Database } from '../../../src/db/database.ts'
import type { Project } from '../../support/process.ts'
import { settings } from '../../support/settings.ts'

const teller = fileURLToPath(new URL('teller.ts', import.meta.url))
export const accounts = 10
/** What each account has at first. */
export const balance = 100
/** Processes, and what each does at once. */
export const tellers = 3
const tasks = 4

export interface Transfer {
  id: string
  source: number
  target: number
  amount: number
}

type Rows<Row> = ReturnType<typeof sql<Row>>
export const rowsOf = async <Row>(statement: Rows<Row>, { query }: Database) => (await statement.execute(query())).rows

export async function openBank(url: string): Promise<Database> {
  const database = openDatabase(settings({ DATABASE_URL: url }))
  onTestFinished(() => database.close())
  await rowsOf(sql`create table accounts (id integer primary key, balance integer not null)`, database)
  await rowsOf(
    sql`create table transfers (id char(36) primary key, source integer, target integer, amount integer)`,
    database,
  )
  for (let id = 0; id < accounts; id++) await rowsOf(sql`insert into accounts values (${id}, ${balance})`, database)
  return database
}

/** Reads all balances at once and, where a transaction sees one moment, in two parts; again and again. */
export function startReader(database: Database, isStill: boolean) {
  const stopped = new AbortController()
  const totals = { read: 0, wrong: 0 }
  const total = async (where: Rows<unknown>) =>
    (await rowsOf(sql<{ sum: number }>`select sum(balance) as sum from accounts where ${where}`, database))[0]!.sum
  const inParts = async () => (await total(sql`id < 5`)) + (await total(sql`id >= 5`))
  async function read() {
    while (!stopped.signal.aborted) {
      const looks = [() => total(sql`true`), () => database.transaction(() => (isStill ? inParts() : total(sql`true`)))]
      for (const look of looks)
        try {
          if ((await look()) !== accounts * balance) totals.wrong++
          totals.read++
        } catch (error) {
          // A killed connection, or a lock that came too late: no answer, which is not a wrong one.
          if (!(error instanceof UnavailableError)) throw error
        }
      await sleep(5)
    }
  }
  const running = read()
  return { totals, stop: () => (stopped.abort(), running) }
}

/** Processes that move money, as many at any time; what they wrote stays after they are killed. */
export function startTellers(project: Project, url: string) {
  const command = [process.execPath, teller, String(accounts), String(tasks)] as [string, ...string[]]
  const start = () => project.run(command, { DATABASE_URL: url })
  const all = Array.from({ length: tellers }, start)
  /** The last line may be cut off: a line counts once it has its end. */
  const lines = () => all.flatMap(({ stdout }) => stdout.split('\n').slice(0, -1))
  return {
    lines,
    acknowledged: () => lines().filter((line) => line.startsWith('done ')),
    async more(transfers: number) {
      const enough = this.acknowledged().length + transfers
      while (this.acknowledged().length < enough) await sleep(20)
    },
    /** Kills the oldest, and starts another. */
    async replace(index: number) {
      all[index]!.kill('SIGKILL')
      await all[index]!.ended
      all.push(start())
    },
    async stop() {
      for (const each of all) each.kill('SIGKILL')
      await Promise.all(all.map(({ ended }) => ended))
    },
  }
}
