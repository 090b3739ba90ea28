// Looks at a server in a soak, and at its database, from outside.
import { existsSync, readFileSync, statSync } from 'node:fs'
import pg from 'pg'
import type { DatabaseKind } from '../../tests/support/databases.ts'
import { openDescriptors, residentMemory } from '../support/processes.ts'
import type { Server } from '../support/workbench.ts'
import type { Inside } from './inside.ts'
import type { Sample } from './series.ts'

const mebibyte = 2 ** 20

/** What a database tells of itself, and of the connections that the server holds to it. */
interface DatabaseWatch {
  look(): Promise<Partial<Sample>>
  close(): Promise<void>
}

export interface Watch {
  /** To be called several times from one sample to the next: memory comes and goes. */
  lookAtMemory(): void
  sample(): Promise<Partial<Sample>>
  close(): Promise<void>
}

/** @param inside the file in which the server tells the rest */
export async function watch({ pid, databaseUrl }: Server, kind: DatabaseKind, inside: string): Promise<Watch> {
  const database = kind === 'sqlite' ? watchSqlite(databaseUrl) : await watchPostgresql(databaseUrl)
  let memory: number[] = []
  let lines = 0
  const lookAtMemory = () => void memory.push(residentMemory(pid))

  /** What the server has told since the last time: the latest line, if there is a new one. */
  function latest(): Partial<Inside> {
    const all = existsSync(inside) ? readFileSync(inside, 'utf8').split('\n').slice(0, -1) : []
    const fresh = all.slice(lines).map((line) => JSON.parse(line) as Inside)
    lines = all.length
    return Object.assign({}, ...fresh) as Partial<Inside>
  }

  return {
    lookAtMemory,
    async sample() {
      lookAtMemory()
      const looks = memory
      memory = []
      const seen = { rss_mib: Math.min(...looks), rss_peak_mib: Math.max(...looks), descriptors: openDescriptors(pid) }
      return { ...seen, ...latest(), ...(await database.look()) }
    },
    close: database.close,
  }
}

function watchSqlite(url: string): DatabaseWatch {
  const file = url.slice('sqlite:///'.length)
  const size = (name: string) => (statSync(name, { throwIfNoEntry: false })?.size ?? 0) / mebibyte
  return {
    look: async () => ({ wal_mib: size(`${file}-wal`), database_mib: size(file) }),
    close: async () => {},
  }
}

async function watchPostgresql(url: string): Promise<DatabaseWatch> {
  const client = new pg.Client({ connectionString: url, application_name: 'soak' })
  // A lost connection fails the next look, which is enough; unheard, the event would end the process.
  client.on('error', () => {})
  await client.connect()
  return {
    async look() {
      const { rows } = await client.query<Partial<Sample>>(`
        select
          count(*)::int as connections,
          count(*) filter (where state = 'active')::int as active,
          count(*) filter (where state like 'idle in transaction%')::int as in_transaction,
          (select sum(size) / ${mebibyte} from pg_ls_waldir())::float8 as wal_mib,
          pg_database_size(current_database())::float8 / ${mebibyte} as database_mib
        from pg_stat_activity
        where application_name = 'app' and backend_type = 'client backend' and datname = current_database()
      `)
      return rows[0]!
    },
    close: () => client.end(),
  }
}
