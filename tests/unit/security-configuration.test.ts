import { expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/core/config.ts'
import { environment } from '../support/settings.ts'

/** What is wrong with these settings, by the names of those at fault. */
function blamed(settings: Record<string, string>): string[] {
  try {
    readConfig({ ...environment, ...settings })
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map((fault) => fault.split(' ', 1)[0]!)
    throw error
  }
}

test.for([
  ['HS256', 32],
  ['HS384', 48],
  ['HS512', 64],
] as const)('a key for %s has at least %i bytes, an earlier one too (RFC 7518 §3.2)', ([JWT_ALGORITHM, least]) => {
  for (const name of ['JWT_SECRET_KEY', 'JWT_SECRET_KEY_PREVIOUS']) {
    const long = { JWT_SECRET_KEY: 'x'.repeat(64) }
    expect(blamed({ JWT_ALGORITHM, ...long, [name]: 'y'.repeat(least) })).toEqual([])
    expect(blamed({ JWT_ALGORITHM, ...long, [name]: 'y'.repeat(least - 1) })).toEqual([name])
    // Each of several counts.
    expect(blamed({ JWT_ALGORITHM, ...long, [name]: 'é'.repeat(least / 2) })).toEqual([])
  }
  const several = `${'y'.repeat(64)},${'z'.repeat(least - 1)}`
  expect(blamed({ JWT_ALGORITHM, JWT_SECRET_KEY: 'x'.repeat(64), JWT_SECRET_KEY_PREVIOUS: several })).toEqual([
    'JWT_SECRET_KEY_PREVIOUS',
  ])
})

test('the value of a bad key is not told, whatever is wrong with it (ASVS 13.3.1)', () => {
  const canary = 'canary-of-a-key-that-is-too-short-for-it'
  const settings = { JWT_ALGORITHM: 'HS512', JWT_SECRET_KEY: canary, SECRET_KEY: canary, SECRET_KEY_PREVIOUS: 'canary' }
  expect(() => readConfig({ ...environment, ...settings })).toThrow(/^(?!.*canary)/s)
})
