import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hashRaw, verify } from '@node-rs/argon2'
import { describe, expect, test } from 'vitest'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { settings } from '../support/settings.ts'

type Kind = 'argon2i' | 'argon2id'

interface Vectors {
  hashes: {
    type: Kind
    memory_kib: number
    time: number
    lanes: number
    password: string
    salt: string
    hash: string
    encoded: string
  }[]
  broken: { reason: string; encoded: string }[]
  mismatched: { password: string; encoded: string }
}

const file = join(import.meta.dirname, '../vectors/argon2/phc.json')
const { hashes, broken, mismatched } = JSON.parse(readFileSync(file, 'utf8')) as Vectors

// The library's enumeration has no values at run time.
const algorithms: Record<Kind, number> = { argon2i: 1, argon2id: 2 }
const ids = hashes.filter(({ type }) => type === 'argon2id')
const small = hashes.filter(({ memory_kib }) => memory_kib < 1024)

/** The outcome of verifying: true, false, or the error's kind. */
const outcome = (encoded: string, password: string) =>
  verify(encoded, password).catch((error: unknown) => (error instanceof Error ? 'refused' : error))

describe.concurrent('the vectors of the reference implementation (RFC 9106, ASVS 11.4.2)', () => {
  test('there are seven of each kind, and their strings hold their bytes', () => {
    expect([hashes.length, ids.length, small.length]).toEqual([14, 7, 4])
    const ends = hashes.map(({ hash }) => `$${Buffer.from(hash, 'hex').toString('base64').replace('=', '')}`)
    expect(hashes.filter(({ encoded }, index) => !encoded.endsWith(ends[index]!))).toEqual([])
  })

  // Of those with much memory one here: verifying, below, hashes them all.
  test.for([...small, ids[0]!])('$encoded is hashed to its bytes', async (vector) => {
    const raw = await hashRaw(vector.password, {
      memoryCost: vector.memory_kib,
      timeCost: vector.time,
      parallelism: vector.lanes,
      algorithm: algorithms[vector.type],
      salt: Buffer.from(vector.salt),
    })
    expect(raw.toString('hex')).toBe(vector.hash)
  })

  test.for(hashes)('$encoded is verified', async ({ encoded, password }) => {
    expect(await outcome(encoded, password)).toBe(true)
  })

  test('a hash of another password does not match', async () => {
    expect(await outcome(mismatched.encoded, mismatched.password)).toBe(false)
  })

  test.for(broken)('a string is no hash: $reason', async ({ encoded }) => {
    expect(await outcome(encoded, 'password')).toBe('refused')
  })

  test.for([{ memoryCost: 2 }, { salt: Buffer.from('s') }])(
    'parameters below the least are refused: %o',
    async (parameter) => {
      await expect(
        hashRaw('password', { memoryCost: 256, salt: Buffer.from('diffsalt'), ...parameter }),
      ).rejects.toThrow(/too/)
    },
  )
})

describe('made from a vector', () => {
  test.for(small)('another password does not match $encoded', async ({ encoded, password }) => {
    for (const other of ['', 'passwore', 'Password', `${password} `, `${password}\0`, password.slice(0, -1)])
      expect(await outcome(encoded, other)).toBe(false)
  })

  test.for(small)('no other string in place of $encoded matches', async ({ type, encoded, password }) => {
    const hash = encoded.slice(-43)
    const variants: [string, string, false | 'refused'][] = [
      ['another salt', encoded.replace('c29tZXNhbHQ', 'ZGlmZnNhbHQ'), false],
      ['another hash', encoded.replace(hash, `A${hash.slice(1)}`), false],
      ['another number of passes', encoded.replace('t=2', 't=3'), false],
      ['more memory', encoded.replace('m=256', 'm=257'), false],
      ['another version', encoded.replace('v=19', 'v=16'), false],
      ['another type', encoded.replace(/argon2id?/, type === 'argon2i' ? 'argon2id' : 'argon2i'), false],
      ['an unknown type', encoded.replace(/argon2id?/, 'argon2x'), 'refused'],
      ['no passes', encoded.replace('t=2', 't=0'), 'refused'],
      ['no hash', encoded.replace(`$${hash}`, ''), 'refused'],
      ['an empty hash', encoded.replace(hash, ''), 'refused'],
      ['a hash cut short', encoded.replace(hash, hash.slice(0, 4)), 'refused'],
      ['padding', `${encoded}=`, 'refused'],
      // The last letter of 32 bytes in base64 has two spare bits: the one that follows it sets the lower of them.
      ['a spare bit that is set', encoded.slice(0, -1) + following(encoded.slice(-1)), 'refused'],
      ['something after it', `${encoded}$x`, 'refused'],
    ]
    const outcomes = variants.map(async ([what, variant]) => [what, await outcome(variant, password)])
    expect(await Promise.all(outcomes)).toEqual(variants.map(([what, , expected]) => [what, expected]))
  })
})

describe('stored passwords', () => {
  const passwords = createPasswords(settings({ ARGON2_MEMORY_COST: '65536', ARGON2_TIME_COST: '2' }))

  test('of one set of parameters are current, and Argon2i never is', () => {
    const current = hashes.filter(({ encoded }) => !passwords.isOutdated(encoded))
    expect(current).toEqual(
      ids.filter(({ memory_kib, time, lanes }) => memory_kib === 65_536 && time === 2 && lanes === 1),
    )
    expect(current.length).toBeGreaterThan(0)
  })

  test('that are broken match nothing', async () => {
    for (const { encoded } of broken) await expect(passwords.verify(encoded, 'password')).rejects.toThrow(Error)
  })
})

const following = (letter: string) => String.fromCharCode(letter.charCodeAt(0) + 1)
