// The servers that are compared: all on the same database, with the same settings.
import { join } from 'node:path'
import type { DatabaseKind } from '../tests/support/databases.ts'
import type { Candidate } from './load/check.ts'
import { peers } from './peers/index.ts'
import { template, type Program } from './support/workbench.ts'

/**
 * A server under test. It is given `PORT`, `DATABASE_URL`, the secrets and `serverSettings` as environment
 * variables, and serves at 127.0.0.1. What it answers must look like the template's answers.
 */
export interface Variant extends Candidate {
  /** How it is started on a kind of database. */
  program(kind: DatabaseKind): Program
  /** What it answers, by name; everything without it. */
  endpoints?: string[]
  /** One of bench/peers: it has to be installed first. */
  isPeer?: boolean
  /** Settings of its own. */
  settings?: Record<string, string>
  /** Measured only where it is named. */
  onlyNamed?: boolean
}

/** The template's defaults but for these. */
export const serverSettings = {
  RATE_LIMIT_ENABLED: 'false',
  LOG_LEVEL: 'warn',
  // It looks how long requests wait, as always, but answers them all: a pause of the machine must not end the run.
  OVERLOAD_DELAY_MS: '10000',
  // A token outlives the measurement.
  JWT_ACCESS_TOKEN_EXPIRE_MINUTES: '1440',
}

/** What the others are compared with: a server that does nothing but what it must. */
export const reference = 'limit'

export const variants: Variant[] = [
  { name: 'template', program: () => template },
  {
    name: reference,
    program: (kind) => ({ command: [process.execPath, join(import.meta.dirname, `limit/${kind}.ts`)] }),
  },
  // They do not check a token on reads, and are compared where nobody does.
  ...peers.map(({ id, program, leavesOut }) => ({
    name: id,
    program: () => program,
    endpoints: ['get-open', 'list-open', 'post'],
    leavesOut,
    isPeer: true,
  })),
  // Connections to PostgreSQL; the default is 10.
  ...['5', '20', '40'].map((size) => ({
    name: `pool-${size}`,
    program: () => template,
    settings: { DATABASE_POOL_SIZE: size },
    onlyNamed: true,
  })),
]
