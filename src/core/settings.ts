import { z } from 'zod'
import {
  text,
  flag,
  list,
  integer,
  notSample,
  secret,
  previousSecrets,
  fernetKey,
  databaseUrl,
  origin,
  network,
} from './setting-forms.ts'

/**
 * Every setting: its form, its default and what it does. `.env.example` and docs/configuration.md
 * are written from this one table.
 */
export const settings = {
  NODE_ENV: z
    .enum(['development', 'test', 'production'], 'must be development, test or production')
    .default('development')
    .describe('`production` refuses weak settings, writes no file, seeds nothing and migrates only when told.'),
  APP_NAME: text
    .max(60)
    .default('TypeScript Backend Template')
    .describe('The name in the API document and in tokens (`iss`).'),
  HOST: text.default('127.0.0.1').describe('The address to listen on. A container sets `0.0.0.0`.'),
  PORT: integer(0, 65_535).default(5000).describe('The port to listen on; 0 takes any free one.'),
  WEB_CONCURRENCY: integer(1, 64)
    .default(1)
    .describe(
      'Processes that serve. More than one are workers of a supervisor, which restarts those that die and, on SIGHUP, replaces all one by one. One for each core is the most that helps.',
    ),
  TRUST_PROXY: list
    .pipe(z.array(network))
    .default([])
    .describe('Addresses or networks (CIDR) of proxies whose `X-Forwarded-For` is believed, separated by commas.'),

  DATABASE_URL: databaseUrl
    .default('sqlite:///app.db')
    .describe(
      'The database: `sqlite:///app.db` (relative to the project), `sqlite:////absolute/app.db`, `sqlite:///:memory:`, or `postgresql://user:password@host:5432/name?sslmode=verify-full`.',
    ),
  MIGRATION_DATABASE_URL: databaseUrl
    .optional()
    .describe(
      'The same database under a role that may change its schema. Without it, migrations run as `DATABASE_URL`.',
    ),
  DATABASE_POOL_SIZE: integer(1, 1000)
    .default(10)
    .describe(
      'Connections to PostgreSQL that one process holds at most; all together `WEB_CONCURRENCY` times as many.',
    ),
  DATABASE_QUEUE_SIZE: integer(1, 1_000_000)
    .default(1000)
    .describe(
      'Statements and transactions of one process that may wait for a connection; the next ends in 503 at once.',
    ),
  DATABASE_TIMEOUT_SECONDS: integer(1, 600)
    .default(10)
    .describe('How long a statement, a lock or a free connection may take before the request ends in 503.'),
  DATABASE_PREPARED_STATEMENTS: flag
    .default(true)
    .describe(
      'Has PostgreSQL parse each statement once for a connection. `false` for a pooler that gives connections out by the transaction and knows none, such as PgBouncer before 1.21.',
    ),

  SECRET_KEY: secret.describe('Signs refresh tokens. At least 32 bytes.'),
  SECRET_KEY_PREVIOUS: previousSecrets
    .default([])
    .describe('Earlier `SECRET_KEY`s, separated by commas: still accepted, no longer used to sign.'),
  JWT_SECRET_KEY: secret.describe(
    'Signs access tokens. At least 32 bytes (48 for HS384, 64 for HS512), not the same as `SECRET_KEY`.',
  ),
  JWT_SECRET_KEY_PREVIOUS: previousSecrets
    .default([])
    .describe('Earlier `JWT_SECRET_KEY`s, separated by commas: still accepted, no longer used to sign.'),
  ENCRYPTION_KEY: text
    .refine(notSample, 'is the sample value: a Fernet key is 32 random bytes in URL-safe base64')
    .transform((value) => value.split(',').map((key) => key.trim()))
    .pipe(z.array(fernetKey))
    .describe(
      'Fernet keys for encrypted columns, separated by commas: the first encrypts, all decrypt. After adding one run `npx app keys rotate`.',
    ),

  JWT_ALGORITHM: z
    .enum(['HS256', 'HS384', 'HS512'], 'must be HS256, HS384 or HS512')
    .default('HS256')
    .describe('The one algorithm that signs and verifies access tokens.'),
  JWT_ACCESS_TOKEN_EXPIRE_MINUTES: integer(1, 1440).default(15).describe('The life of an access token.'),
  JWT_REFRESH_TOKEN_EXPIRE_DAYS: integer(1, 3650)
    .default(30)
    .describe('The life of a session, counted from sign-in; refreshing does not extend it.'),
  SESSION_IDLE_DAYS: integer(1, 3650).default(14).describe('A session ends when it was not refreshed for this long.'),
  REFRESH_REUSE_LEEWAY_SECONDS: integer(0, 60)
    .default(10)
    .describe('Within this time an old refresh token gets the same successor again (a second tab, a lost answer).'),

  PASSWORD_MIN_LENGTH: integer(8, 128).default(8).describe('The shortest password, in characters; never under 8.'),
  ARGON2_TIME_COST: integer(2, 100)
    .default(2)
    .describe('Argon2id passes. Raised, it takes effect at each next sign-in.'),
  ARGON2_MEMORY_COST: integer(19_456, 4_194_304).default(65_536).describe('Argon2id memory, in KiB.'),
  ARGON2_PARALLELISM: integer(1, 64).default(2).describe('Argon2id lanes.'),

  RATE_LIMIT_ENABLED: flag
    .default(true)
    .describe('`false` turns rate limits and the throttling of sign-ins off, for load runs and tests.'),
  RATE_LIMIT_PER_MINUTE: integer(1, 1_000_000)
    .default(600)
    .describe('Requests that one address may make to one route in a minute. Probes are not counted.'),
  REDIS_URL: text
    .regex(/^rediss?:\/\/\S+$/, 'must be redis://user:password@host:6379 or rediss://…')
    .optional()
    .describe(
      'A Redis in which all servers count requests together. Without one, and while it is away, each server counts for itself, its workers together.',
    ),
  LOGIN_MAX_FAILURES: integer(1, 1000)
    .default(5)
    .describe(
      'Failed sign-ins on one account from one address before the next must wait: 15 seconds, doubling to 15 minutes.',
    ),
  ADDRESS_MAX_FAILURES: integer(1, 1_000_000)
    .default(100)
    .describe(
      'Failed sign-ins, password changes and refreshes (each by itself) from one address in 15 minutes, whatever the account.',
    ),
  REGISTER_MAX_PER_HOUR: integer(1, 1_000_000).default(60).describe('Registrations from one address in an hour.'),
  IDEMPOTENCY_KEY_HOURS: integer(1, 8760)
    .default(24)
    .describe('How long the answer to a POST with an `Idempotency-Key` is kept, and given again to the same request.'),
  AUDIT_RETENTION_DAYS: integer(1, 3650)
    .default(365)
    .describe('How long security events are kept in the table `audit_events`.'),
  OVERLOAD_DELAY_MS: integer(0, 60_000)
    .default(100)
    .describe(
      'Milliseconds that a request may wait before it is worked on. When waits have been longer for ten times as long, those who wait longer end in 503 until it is over; 0 turns this off. Probes are always answered.',
    ),

  CORS_ORIGINS: list
    .pipe(z.array(origin))
    .default([])
    .describe('Origins whose pages may call the API, separated by commas. None by default.'),
  CORS_CREDENTIALS: flag.default(false).describe('Lets those pages send cookies; not needed for Bearer tokens.'),
  LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'must be fatal, error, warn, info, debug, trace or silent',
    )
    .default('info')
    .describe('The least severe log line that is written.'),
  DOCS_ENABLED: flag.optional().describe('Serves the API document and Swagger UI. By default on, in production off.'),
  REQUEST_TIMEOUT_SECONDS: integer(1, 600)
    .default(30)
    .describe('How long a request may wait for its answer before it ends in 503. An export that has begun goes on.'),
  SHUTDOWN_DELAY_SECONDS: integer(0, 60)
    .default(0)
    .describe(
      'How long a server that got SIGTERM goes on as before, but for a readiness of 503 and `Connection: close` on each answer: the time in which a proxy sees that it is stopping.',
    ),
  SHUTDOWN_TIMEOUT_SECONDS: integer(1, 600)
    .default(10)
    .describe('How long a stopping server waits for running requests.'),
}
