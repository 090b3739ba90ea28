import { describe, expect, test } from 'vitest'
import { reportConfig } from '../../src/core/config-report.ts'
import { settings } from '../../src/core/settings.ts'
import { environment } from '../support/settings.ts'

const report = (given: Record<string, string>, file?: Record<string, string>) => {
  const { settings: found, ...rest } = reportConfig({ given, file })
  return { ...rest, ...Object.fromEntries(found.map(({ name, value, source }) => [name, [value, source]])) }
}

test('every setting is told with its value and where it comes from', () => {
  const { PORT, HOST, LOG_LEVEL, CORS_ORIGINS, DATABASE_POOL_SIZE, faults, unknown } = report(
    { ...environment, PORT: '80', HOST: ' ::1 ' },
    { PORT: '81', LOG_LEVEL: 'warn', CORS_ORIGINS: 'https://a.example, https://b.example', DATABASE_POOL_SIZE: ' ' },
  ) as Record<string, unknown>
  expect({ PORT, HOST, LOG_LEVEL, CORS_ORIGINS, DATABASE_POOL_SIZE }).toEqual({
    PORT: ['80', 'environment'],
    HOST: ['::1', 'environment'],
    LOG_LEVEL: ['info', 'environment'],
    CORS_ORIGINS: ['https://a.example,https://b.example', '.env'],
    DATABASE_POOL_SIZE: ['10', 'default'],
  })
  expect({ faults, unknown }).toEqual({ faults: [], unknown: [] })
  expect(reportConfig({ given: environment, file: undefined }).settings.map(({ name }) => name)).toEqual(
    Object.keys(settings),
  )
})

test('secrets are counted, not shown', () => {
  const { SECRET_KEY_PREVIOUS: previous } = report({
    ...environment,
    SECRET_KEY_PREVIOUS: `${'one'.repeat(20)},${'two'.repeat(20)}`,
  }) as Record<string, unknown>
  expect(previous).toEqual(['(2 hidden)', 'environment'])
  const text = JSON.stringify(reportConfig({ given: environment, file: undefined }))
  for (const name of ['SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY'] as const)
    expect(text).not.toContain(environment[name])
})

describe('a password in an address is hidden', () => {
  test.for([
    ['DATABASE_URL', 'postgresql://app:hunter2@db:5432/app', 'postgresql://app:hidden@db:5432/app'],
    [
      'DATABASE_URL',
      'postgresql://app:hunter2%40%2F%3A@db/app?sslmode=verify-full',
      'postgresql://app:hidden@db/app?sslmode=verify-full',
    ],
    ['DATABASE_URL', 'postgresql://db/app?user=app&password=hunter2', 'postgresql://db/app?user=app&password=hidden'],
    ['MIGRATION_DATABASE_URL', 'postgresql://owner:hunter2:hunter2@db/app', 'postgresql://owner:hidden@db/app'],
    ['REDIS_URL', 'redis://:hunter2@cache:6379', 'redis://:hidden@cache:6379'],
    // No URL, although it begins like one: as a connection it would fail, and here it must not tell.
    ['REDIS_URL', 'redis://:hunter2@cache:99999', '(hidden)'],
    ['REDIS_URL', 'redis://app:hunter2/@cache', '(hidden)'],
    // An unescaped character ends the address before the password does.
    ['DATABASE_URL', 'postgresql://app:12#hunter2@db/app', '(hidden)'],
    ['DATABASE_URL', 'postgresql://app:12?hunter2@db/app', '(hidden)'],
    ['DATABASE_URL', 'postgresql://app:12/hunter2@db/app', '(hidden)'],
    ['DATABASE_URL', 'sqlite:////srv/me@home/app.db', 'sqlite:////srv/me@home/app.db'],
  ] as const)('in %s %s', ([name, url, shown]) => {
    expect(report({ ...environment, [name]: url })).toMatchObject({ [name]: [shown, 'environment'] })
  })
})

test('faulty values are refused without being shown, and all faults are told', () => {
  const given = { ...environment, DATABASE_URL: 'mysql://app:hunter2@db/app', PORT: 'hunter2', SECRET_KEY: 'hunter2' }
  const found = reportConfig({ given, file: { JWT_ALGORITHM: 'hunter2' } })
  expect(JSON.stringify(found)).not.toContain('hunter2')
  expect(found.faults.map((fault) => fault.split(' ')[0])).toEqual([
    'PORT',
    'DATABASE_URL',
    'SECRET_KEY',
    'JWT_ALGORITHM',
  ])
  expect(found.settings).toContainEqual({ name: 'PORT', value: '(refused)', source: 'environment' })
})

test('a missing secret is told as not set, and a misspelt name as unknown', () => {
  const found = reportConfig({
    given: {},
    file: { SECRETKEY: 'hunter2', POSTGRES_PASSWORD: 'hunter2', SECRET_KEY: '' },
  })
  expect(found.settings).toContainEqual({ name: 'SECRET_KEY', value: '(not set)', source: 'default' })
  expect(found.faults).toContain('SECRET_KEY is not set')
  expect(found.unknown).toEqual(['SECRETKEY'])
  expect(JSON.stringify(found)).not.toContain('hunter2')
})
