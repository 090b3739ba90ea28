import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/core/config.ts'

const secrets = {
  SECRET_KEY: 'a first secret that is long enough to be one',
  JWT_SECRET_KEY: 'a second secret that is long enough to be one',
  ENCRYPTION_KEY: 'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=',
}
const read = (environment: Record<string, string> = {}) => readConfig({ ...secrets, ...environment })

/** What is wrong with an environment: one sentence a fault, each beginning with the variable's name. */
function faults(environment: Record<string, string>): string[] {
  try {
    read(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}
const blamed = (environment: Record<string, string>) => [
  ...new Set(faults(environment).map((fault) => fault.split(' ', 1)[0]!)),
]

describe('without anything but the secrets', () => {
  test('each setting has its documented default', () => {
    expect(read()).toEqual({
      ...secrets,
      ENCRYPTION_KEY: [secrets.ENCRYPTION_KEY],
      SECRET_KEY_PREVIOUS: [],
      JWT_SECRET_KEY_PREVIOUS: [],
      NODE_ENV: 'development',
      APP_NAME: 'TypeScript Backend Template',
      HOST: '127.0.0.1',
      PORT: 5000,
      WEB_CONCURRENCY: 1,
      TRUST_PROXY: [],
      DATABASE_URL: 'sqlite:///app.db',
      DATABASE_POOL_SIZE: 10,
      DATABASE_QUEUE_SIZE: 1000,
      DATABASE_PREPARED_STATEMENTS: true,
      DATABASE_TIMEOUT_SECONDS: 10,
      JWT_ALGORITHM: 'HS256',
      JWT_ACCESS_TOKEN_EXPIRE_MINUTES: 15,
      JWT_REFRESH_TOKEN_EXPIRE_DAYS: 30,
      SESSION_IDLE_DAYS: 14,
      REFRESH_REUSE_LEEWAY_SECONDS: 10,
      PASSWORD_MIN_LENGTH: 8,
      ARGON2_TIME_COST: 2,
      ARGON2_MEMORY_COST: 65_536,
      ARGON2_PARALLELISM: 2,
      CORS_ORIGINS: [],
      CORS_CREDENTIALS: false,
      RATE_LIMIT_ENABLED: true,
      RATE_LIMIT_PER_MINUTE: 600,
      LOGIN_MAX_FAILURES: 5,
      ADDRESS_MAX_FAILURES: 100,
      REGISTER_MAX_PER_HOUR: 60,
      IDEMPOTENCY_KEY_HOURS: 24,
      AUDIT_RETENTION_DAYS: 365,
      OVERLOAD_DELAY_MS: 100,
      LOG_LEVEL: 'info',
      DOCS_ENABLED: true,
      REQUEST_TIMEOUT_SECONDS: 30,
      SHUTDOWN_DELAY_SECONDS: 0,
      SHUTDOWN_TIMEOUT_SECONDS: 10,
    })
  })

  test('an empty or blank variable counts as not set', () => {
    const blank = { PORT: '', LOG_LEVEL: '  ', CORS_ORIGINS: '', DATABASE_URL: '\t', DOCS_ENABLED: '' }
    expect(read(blank)).toEqual(read())
    expect(faults({ SECRET_KEY: ' ' })).toEqual(['SECRET_KEY is not set'])
  })

  test('variables of others are none of our business', () => {
    expect(read({ PATH: '/bin', UNKNOWN: 'x' })).toEqual(read())
  })
})

describe('a good value', () => {
  test('is taken with its type', () => {
    expect(
      read({
        PORT: '0',
        CORS_ORIGINS: 'https://a.example.com, http://localhost:3000,',
        CORS_CREDENTIALS: 'true',
        TRUST_PROXY: '10.0.0.0/8, ::1',
        ENCRYPTION_KEY: `${secrets.ENCRYPTION_KEY}, ${'A'.repeat(43)}=`,
        SECRET_KEY_PREVIOUS: 'an earlier secret that was long enough as well',
      }),
    ).toMatchObject({
      PORT: 0,
      CORS_ORIGINS: ['https://a.example.com', 'http://localhost:3000'],
      CORS_CREDENTIALS: true,
      TRUST_PROXY: ['10.0.0.0/8', '::1'],
      ENCRYPTION_KEY: [secrets.ENCRYPTION_KEY, `${'A'.repeat(43)}=`],
      SECRET_KEY_PREVIOUS: ['an earlier secret that was long enough as well'],
    })
  })

  test.for([
    'sqlite:///app.db',
    'sqlite:////var/lib/app.db',
    'sqlite:///:memory:',
    'postgresql://user:pass@localhost:5432/app',
    'postgres://localhost/app?sslmode=verify-full',
  ])('for the database is %s', (url) => {
    expect(read({ DATABASE_URL: url }).DATABASE_URL).toBe(url)
  })
})

describe('a bad value', () => {
  test.for([
    ['PORT', '65536', '-1', '80.5', '0x50', '1e3', 'http'],
    ['NODE_ENV', 'prod', 'Production'],
    ['LOG_LEVEL', 'verbose', 'INFO'],
    ['DATABASE_URL', 'app.db', 'mysql://localhost/app', 'sqlite://app.db', 'sqlite:///', 'postgresql://'],
    ['CORS_ORIGINS', 'app.example.com', 'https://a.example.com/', 'https://a.example.com/path', 'null', 'https://a,b'],
    ['CORS_CREDENTIALS', 'yes', '1', 'TRUE'],
    ['TRUST_PROXY', 'proxy.example.com', '10.0.0', '10.0.0.0/33', '::1/129', '10.0.0.1/8/9'],
    ['DOCS_ENABLED', 'on'],
    ['JWT_ALGORITHM', 'none', 'RS256', 'hs256'],
    ['JWT_ACCESS_TOKEN_EXPIRE_MINUTES', '0', '1441'],
    ['PASSWORD_MIN_LENGTH', '7', '129'],
    ['LOGIN_MAX_FAILURES', '0'],
    ['RATE_LIMIT_ENABLED', 'off'],
    ['ARGON2_TIME_COST', '1'],
    ['ARGON2_MEMORY_COST', '19455'],
    ['ARGON2_PARALLELISM', '0'],
    ['DATABASE_POOL_SIZE', '0'],
    ['REFRESH_REUSE_LEEWAY_SECONDS', '61'],
    ['SECRET_KEY', 'change-me', 'x'.repeat(31), `${'x'.repeat(40)}-CHANGE-ME`, `${'x'.repeat(40)},y`],
    ['JWT_SECRET_KEY', 'change-me', 'x'.repeat(31)],
    ['SECRET_KEY_PREVIOUS', 'short'],
    ['JWT_SECRET_KEY_PREVIOUS', `${'x'.repeat(32)},short`],
    ['ENCRYPTION_KEY', 'change-me', 'x'.repeat(42), `${'x'.repeat(43)}==`, `${'x'.repeat(43)}=,short`],
    ['APP_NAME', 'x'.repeat(61)],
  ])('of %s stops the start', ([name = '', ...values]) => {
    expect(values.map((value) => blamed({ [name]: value }))).toEqual(values.map(() => [name]))
  })

  test('is told by name, never by value', () => {
    const canary = 'the-canary-9f3'
    const environment = Object.fromEntries(Object.keys(read()).map((name) => [name, canary]))
    const told = faults(environment).join('\n')
    expect(told).toContain('SECRET_KEY')
    expect(told).not.toContain(canary)
  })

  test('of a secret counts bytes, so that 16 characters of 2 bytes are enough', () => {
    expect(faults({ SECRET_KEY: 'é'.repeat(16) })).toEqual([])
    expect(faults({ SECRET_KEY: 'é'.repeat(15) })).toEqual(['SECRET_KEY must be at least 32 bytes'])
  })
})

describe('several faults', () => {
  test('are told at once, each on a line of its own', () => {
    const broken = { SECRET_KEY: '', JWT_SECRET_KEY: 'short', PORT: 'x', LOG_LEVEL: 'x' }
    expect(faults(broken).toSorted()).toEqual([
      'JWT_SECRET_KEY must be at least 32 bytes',
      'LOG_LEVEL must be fatal, error, warn, info, debug, trace or silent',
      'PORT must be a whole number',
      'SECRET_KEY is not set',
    ])
    expect(() => read(broken)).toThrow(/^The configuration has 4 faults:(\n {2}[A-Z_]+ .+){4}$/)
  })

  test('of one variable and between two are told at once as well', () => {
    const broken = { PORT: 'x', JWT_SECRET_KEY: secrets.SECRET_KEY, NODE_ENV: 'production', LOG_LEVEL: 'debug' }
    expect(new Set(blamed(broken))).toEqual(new Set(['PORT', 'JWT_SECRET_KEY', 'LOG_LEVEL']))
  })
})

describe('no two secrets may be equal', () => {
  test.for([
    ['JWT_SECRET_KEY', { JWT_SECRET_KEY: secrets.SECRET_KEY }],
    ['ENCRYPTION_KEY', { SECRET_KEY: secrets.ENCRYPTION_KEY }],
    ['ENCRYPTION_KEY', { JWT_SECRET_KEY: secrets.ENCRYPTION_KEY }],
  ] as const)('%s: %j', ([name, environment]) => {
    expect(blamed(environment)).toEqual([name])
  })
})

describe('in production', () => {
  const production = (environment: Record<string, string> = {}) => ({ NODE_ENV: 'production', ...environment })

  test('the documentation is off unless asked for', () => {
    expect(read(production()).DOCS_ENABLED).toBe(false)
    expect(read(production({ DOCS_ENABLED: 'true' })).DOCS_ENABLED).toBe(true)
    expect(read({ DOCS_ENABLED: 'false' }).DOCS_ENABLED).toBe(false)
  })

  test.for([
    ['LOG_LEVEL', { LOG_LEVEL: 'debug' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'trace' }],
    ['DATABASE_URL', { DATABASE_URL: 'sqlite:///:memory:' }],
  ] as const)('%s is refused that development allows: %j', ([name, environment]) => {
    expect(faults(environment)).toEqual([])
    expect(blamed(production(environment))).toEqual([name])
  })

  test('every origin together with credentials is refused, here and everywhere', () => {
    const environment = { CORS_ORIGINS: '*', CORS_CREDENTIALS: 'true' }
    expect(blamed(environment)).toEqual(['CORS_ORIGINS'])
    expect(blamed(production(environment))).toEqual(['CORS_ORIGINS'])
    expect(faults(production({ CORS_ORIGINS: '*' }))).toEqual([])
  })
})

test('migrations and the server work on one database, whichever way there', () => {
  const server = { DATABASE_URL: 'postgresql://app@pool:6432/shop' }
  const blame = (url: string) => blamed({ ...server, MIGRATION_DATABASE_URL: url })
  expect(blame('postgres://owner@database:5432/shop')).toEqual([])
  expect(blame('postgresql://owner@database/rehearsal')).toEqual(['MIGRATION_DATABASE_URL'])
  expect(blame('sqlite:///shop')).toEqual(['MIGRATION_DATABASE_URL'])
})

test('several workers cannot share a database in memory', () => {
  const memory = { DATABASE_URL: 'sqlite:///:memory:' }
  expect(blamed({ ...memory, WEB_CONCURRENCY: '2' })).toEqual(['WEB_CONCURRENCY'])
  expect(blamed({ ...memory, WEB_CONCURRENCY: '1' })).toEqual([])
  expect(blamed({ WEB_CONCURRENCY: '65' })).toEqual(['WEB_CONCURRENCY'])
})
