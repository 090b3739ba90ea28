import { readConfig, type Config } from '../../src/core/config.ts'

/** Settings for a test: real ones, with cheap hashing so that the tests are quick. */
export const environment = {
  NODE_ENV: 'test',
  SECRET_KEY: 'a secret of the tests for refresh tokens: 32 bytes or more',
  JWT_SECRET_KEY: 'a secret of the tests for access tokens: 64 bytes or more for each algorithm',
  ENCRYPTION_KEY: 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=',
  ARGON2_MEMORY_COST: '19456',
  ARGON2_PARALLELISM: '1',
  LOG_LEVEL: 'info',
  // One of before 1.21 would give the names of statements to connections that do not know them.
  DATABASE_PREPARED_STATEMENTS: process.env['PGBOUNCER'] ? 'false' : 'true',
  // Tests of throttling turn it on.
  RATE_LIMIT_ENABLED: 'false',
}

export const settings = (overrides: Record<string, string> = {}): Config => readConfig({ ...environment, ...overrides })
