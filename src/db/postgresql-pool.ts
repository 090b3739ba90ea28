import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { UnavailableError } from '../core/errors.ts'
import type { EngineConfig } from './engine.ts'
import { explain, isStale } from './errors.ts'
import { createLine, type Line } from './line.ts'
import { watchForOutages } from './outages.ts'
import { getTypeParser } from './postgresql-types.ts'

/** Statements that a connection keeps. With more, as lists in all their forms can make, it is worn out, and replaced. */
const preparedStatements = 500

/** Milliseconds in which a new connection must be had: one that was asked for while the network was away never comes. */
const connectingLimit = 4000
/** Milliseconds of idleness after which a connection is asked whether it is still there, and those for its answer. */
const trusted = 1000
const askingLimit = 2000
/** Milliseconds for closing connections politely. */
const closingLimit = 1000

/** What is known of an open connection. All times are milliseconds of `performance.now()`. */
interface Connection {
  /** The names of the statements that it keeps, by their text. */
  names: Map<string, string>
  opened: number
  /** When it last answered. */
  used: number
  /** When the statement was sent that it has not answered yet. */
  waitingSince: number | undefined
  /** Asks whether it is still there. @throws when it does not answer within so many milliseconds */
  ask(limit: number): Promise<unknown>
}

export interface Pool {
  /** Gives a connection that answered a moment ago or answers now; `release` gives it back. @throws UnavailableError */
  take(): Promise<pg.PoolClient>
  close(): Promise<void>
  delay: Line['delay']
  options: pg.PoolOptions
}

/** Connections to PostgreSQL. A statement, a lock and the wait for a connection have one time limit. */
export function createPool(config: EngineConfig): Pool {
  const timeout = config.DATABASE_TIMEOUT_SECONDS * 1000
  const common = { connectionString: config.DATABASE_URL, application_name: 'app' }
  const pool = new pg.Pool({
    ...common,
    max: config.DATABASE_POOL_SIZE,
    Client,
    connectionTimeoutMillis: timeout,
    statement_timeout: timeout,
    lock_timeout: timeout,
    idle_in_transaction_session_timeout: timeout,
    // For a server that is silent rather than slow, whose own time limit never reaches us.
    query_timeout: timeout + 1000,
    types: { getTypeParser },
  })
  const connections = new Map<pg.PoolClient, Connection>()
  /** Connections opened before are not trusted: one of them fell silent, and what silenced it may have met them all. */
  let trustedFrom = 0
  const distrust = () => (trustedFrom = performance.now())

  // An idle connection that breaks is replaced at the next request; unheard, the event would end the process.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    connections.set(client, adaptQueries(client, config.DATABASE_PREPARED_STATEMENTS, distrust))
    client.on('end', () => connections.delete(client))
  })

  // The pool throws at once, rather than reject, when it cannot read a certificate that the URL names.
  const connect = async () => pool.connect()
  const line = createLine(config.DATABASE_QUEUE_SIZE)
  async function take(): Promise<pg.PoolClient> {
    for (;;) {
      let client
      try {
        client = pool.idleCount > 0 ? await pool.connect() : await line.wait(connect)
      } catch (error) {
        // Whatever the reason: who cannot connect has no database.
        if (error instanceof UnavailableError) throw error
        throw new UnavailableError('The database is not available right now', { cause: error })
      }
      if (pool.ending) {
        // Closed meanwhile: Kysely would fail to take it and never give it back, and closing would wait for ever.
        client.release()
        throw new UnavailableError('The database is being closed')
      }
      const connection = connections.get(client)
      if (connection && isGood(connection) && (isFresh(connection) || (await answers(connection)))) return client
      drop(client)
      client.release(true)
    }
  }

  const isGood = ({ names, opened }: Connection) => names.size < preparedStatements && opened >= trustedFrom
  const isFresh = ({ used }: Connection) => performance.now() - used < trusted
  const answers = (connection: Connection) =>
    connection.ask(Math.min(askingLimit, timeout)).then(
      () => true,
      () => {
        distrust()
        return false
      },
    )

  const outages = watchForOutages({
    waiting: () => [...connections.values()].flatMap(({ waitingSince }) => waitingSince ?? []),
    connect: () => new pg.Client({ ...common, connectionTimeoutMillis: askingLimit }),
    over(since) {
      distrust()
      for (const [client, { waitingSince = Infinity }] of connections) if (waitingSince < since) drop(client)
    },
  })

  return {
    take,
    async close() {
      outages.end()
      const isClosed = await Promise.race([pool.end().then(() => true), sleep(closingLimit, false, { ref: false })])
      if (!isClosed) for (const client of connections.keys()) drop(client)
    },
    delay: line.delay,
    options: pool.options,
  }
}

/** Without a word: who is silent hears none. What it was asked fails. */
const drop = (client: pg.PoolClient) => client.connection.stream.destroy()

/** The pool's own limit is for who waits in line. */
class Client extends pg.Client {
  constructor(config: pg.ClientConfig = {}) {
    super({ ...config, connectionTimeoutMillis: connectingLimit })
  }
}

/**
 * Makes a connection explain its errors, give itself up when it no longer answers, and have the database parse each
 * statement once.
 * @param silent told when it no longer answers
 */
function adaptQueries(client: pg.PoolClient, prepared: boolean, silent: () => void): Connection {
  // A connection lost while in use fails its query, which is enough; unheard, the event would end the process.
  client.on('error', () => {})
  const send = client.query.bind(client) as (query: unknown, values?: unknown) => unknown
  const now = performance.now()
  const connection: Connection = {
    names: new Map(),
    opened: now,
    used: now,
    waitingSince: undefined,
    ask: async (limit) => send({ text: 'select 1', query_timeout: limit }),
  }
  const answered = () => {
    connection.waitingSince = undefined
    connection.used = performance.now()
  }
  const query = (text: string | pg.QueryConfig, values?: unknown[]) => {
    // A text without values may be several statements, as migrations send them, and those cannot have one name.
    const single = typeof text !== 'string' ? text : values?.length ? { text, values } : undefined
    const name = prepared && single ? nameOf(single.text, connection.names) : undefined
    const result = name === undefined ? send(text, values) : send({ ...single, name })
    if (!(result instanceof Promise)) return result
    connection.waitingSince = performance.now()
    return result.then(
      (value: unknown) => {
        answered()
        return value
      },
      (error: Error) => {
        answered()
        const isSilent = error.message === 'Query read timeout'
        if (isSilent) silent()
        // The answer may still come, and would be taken for the next query's; or a migration changed the columns of a
        // statement that was parsed before: never use this connection again.
        if (isSilent || isStale(error)) void (client as pg.PoolClient & pg.Client).end()
        throw explain(error)
      },
    )
  }
  client.query = query as typeof client.query
  return connection
}

/** The name of a statement; undefined when there are enough. */
function nameOf(text: string, names: Map<string, string>): string | undefined {
  const known = names.get(text)
  if (known !== undefined || names.size >= preparedStatements) return known
  const name = `s${names.size + 1}`
  names.set(text, name)
  return name
}
