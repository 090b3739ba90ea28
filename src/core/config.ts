import { join } from 'node:path'
import { z } from 'zod'
import { settings } from './settings.ts'

/** The project's folder: `.env`, a relative SQLite file and `migrations/` are looked for here. */
export const projectRoot = join(import.meta.dirname, '../..')

const schema = z.object(settings)
type Settings = z.output<typeof schema>
export type Config = Readonly<Omit<Settings, 'DOCS_ENABLED'> & { DOCS_ENABLED: boolean }>

/** Bytes: a key is at least as long as the hash it goes into (RFC 7518 §3.2). */
const hashLength = { HS256: 32, HS384: 48, HS512: 64 }

const inMemory = 'sqlite:///:memory:'

/** Rules that concern several settings, or production alone. Gives pairs of name and fault. */
function* contradictions(config: Partial<Settings>): Generator<[keyof Settings, string]> {
  const { SECRET_KEY, JWT_SECRET_KEY, ENCRYPTION_KEY = [] } = config
  if (SECRET_KEY !== undefined && SECRET_KEY === JWT_SECRET_KEY) yield ['JWT_SECRET_KEY', 'must differ from SECRET_KEY']
  const { JWT_ALGORITHM = 'HS256', JWT_SECRET_KEY_PREVIOUS = [] } = config
  const least = hashLength[JWT_ALGORITHM]
  const isShort = (key: string) => Buffer.byteLength(key) < least
  if (JWT_SECRET_KEY !== undefined && isShort(JWT_SECRET_KEY))
    yield ['JWT_SECRET_KEY', `must be at least ${least} bytes for ${JWT_ALGORITHM}`]
  if (JWT_SECRET_KEY_PREVIOUS.some(isShort))
    yield ['JWT_SECRET_KEY_PREVIOUS', `must be at least ${least} bytes each for ${JWT_ALGORITHM}`]
  if (ENCRYPTION_KEY.some((key) => key === SECRET_KEY || key === JWT_SECRET_KEY))
    yield ['ENCRYPTION_KEY', 'must differ from SECRET_KEY and JWT_SECRET_KEY']
  if (config.CORS_CREDENTIALS && config.CORS_ORIGINS?.includes('*'))
    yield ['CORS_ORIGINS', 'cannot be * together with CORS_CREDENTIALS']
  if (config.WEB_CONCURRENCY !== undefined && config.WEB_CONCURRENCY > 1 && config.DATABASE_URL === inMemory)
    yield ['WEB_CONCURRENCY', 'must be 1 with a database in memory: each process would have its own']
  const { DATABASE_URL, MIGRATION_DATABASE_URL } = config
  if (DATABASE_URL !== undefined && MIGRATION_DATABASE_URL !== undefined)
    if (databaseOf(DATABASE_URL) !== databaseOf(MIGRATION_DATABASE_URL))
      yield ['MIGRATION_DATABASE_URL', 'must be the same database as DATABASE_URL: commands work on it']
  if (config.NODE_ENV !== 'production') return
  if (config.LOG_LEVEL === 'debug' || config.LOG_LEVEL === 'trace')
    yield ['LOG_LEVEL', `cannot be ${config.LOG_LEVEL} in production`]
  if (config.DATABASE_URL === inMemory)
    yield ['DATABASE_URL', 'cannot be in memory in production: every restart would lose the data']
}

/** The kind and the name: the way there may be another, past a PgBouncer. */
const databaseOf = (address: string): string => {
  const { protocol, pathname } = new URL(address)
  return `${protocol.replace('postgres:', 'postgresql:')}${pathname}`
}

/** The environment cannot be used as it is. The message lists every fault by name, and no value. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly faults: string[]
  constructor(faults: string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    )
    this.faults = faults
  }
}

/**
 * Validates the environment, once, at start.
 * @param environment variables by name; an empty one counts as not set
 * @throws ConfigError with all faults at once, each by the variable's name and never its value
 */
export function readConfig(environment: NodeJS.ProcessEnv): Config {
  const given = Object.fromEntries(Object.keys(settings).map((name) => [name, environment[name]?.trim() || undefined]))
  const result = schema.safeParse(given)
  const bad = result.error?.issues ?? []
  // Whatever is good by itself is compared even while other settings are bad, so that one start tells all.
  const good = Object.entries(settings).map(([name, setting]) => [name, setting.safeParse(given[name]).data])
  const faults = [
    ...bad.map(({ path: [name = ''], message }) =>
      given[String(name)] === undefined ? `${String(name)} is not set` : `${String(name)} ${message}`,
    ),
    ...[...contradictions(Object.fromEntries(good) as Partial<Settings>)].map(([name, fault]) => `${name} ${fault}`),
  ]
  if (!result.success || faults.length > 0) throw new ConfigError([...new Set(faults)])
  return { ...result.data, DOCS_ENABLED: result.data.DOCS_ENABLED ?? result.data.NODE_ENV !== 'production' }
}
