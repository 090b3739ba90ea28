import { createCipheriv, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEncryption, DecryptionError } from '../../src/core/security/encryption.ts'
import { mutate, mutation, otherSpellings, wellFormed as text } from './arbitraries.ts'

interface Vector {
  desc?: string
  token: string
  now: string
  ttl_sec: number
  src: string
  secret: string
  iv: number[]
}

const read = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../vectors/fernet/${name}.json`), 'utf8')) as Vector[]
const seconds = (time: string) => Date.parse(time) / 1000

const urlSafe = (bytes: Buffer) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')

const [earlier, newest, foreign] = [1, 2, 3].map((byte) => urlSafe(Buffer.alloc(32, byte))) as [string, string, string]
const encryption = createEncryption([earlier])

/** What decrypting ends in: the text, or the error. */
function outcome(token: string, options = {}, by = encryption): unknown {
  try {
    return by.decrypt(token, options)
  } catch (error) {
    return error
  }
}
const refused = new DecryptionError()

/** A token of any bytes under the key of `encryption`, made by hand. */
function forge({ version = 0x80, plain = Buffer.from('text') }): string {
  const [iv, key] = [Buffer.alloc(16), Buffer.alloc(16, 1)]
  const cipher = createCipheriv('aes-128-cbc', key, iv)
  const signed = Buffer.concat([Buffer.of(version), Buffer.alloc(8), iv, cipher.update(plain), cipher.final()])
  return urlSafe(Buffer.concat([signed, createHmac('sha256', key).update(signed).digest()]))
}

describe("the specification's vectors", () => {
  test.for(read('generate'))('$src is encrypted as $token', ({ src, token, now, iv, secret }) => {
    expect(createEncryption([secret]).encrypt(src, { now: seconds(now), iv: Uint8Array.from(iv) })).toBe(token)
  })

  test.for(read('verify'))('$token is decrypted as $src', ({ src, token, now, ttl_sec, secret }) => {
    expect(createEncryption([secret]).decrypt(token, { now: seconds(now), ttl: ttl_sec })).toBe(src)
  })

  const invalid = read('invalid')
  test('there are eight that are invalid', () => {
    expect(invalid).toHaveLength(8)
  })

  test.for(invalid)('refused with the one error: $desc', ({ token, now, ttl_sec, secret }) => {
    const error = outcome(token, { now: seconds(now), ttl: ttl_sec }, createEncryption([secret]))
    expect(error).toBeInstanceOf(DecryptionError)
    // Nothing tells which check it was: no other message, no cause, no further property.
    expect(error).toEqual(refused)
    expect(Object.getOwnPropertyNames(error)).toEqual(Object.getOwnPropertyNames(refused))
  })
})

describe('a token', () => {
  test('is decrypted as what was encrypted, whatever the text', () => {
    fc.assert(
      fc.property(text, (plain) => {
        expect(encryption.decrypt(encryption.encrypt(plain))).toBe(plain)
      }),
    )
  })

  test.for(['', '\0', '\ufeffwith a byte order mark', 'x'.repeat(15), 'x'.repeat(16), '🦊'.repeat(5000)])(
    'is decrypted as what was encrypted: %#',
    (plain) => {
      expect(encryption.decrypt(encryption.encrypt(plain))).toBe(plain)
    },
  )

  test('is never the same twice (ASVS 11.3.4)', () => {
    expect(encryption.encrypt('the same text')).not.toBe(encryption.encrypt('the same text'))
  })

  test('with any one bit flipped is refused (ASVS 11.3.3)', () => {
    fc.assert(
      fc.property(text, fc.nat(), (plain, at) => {
        const bytes = Buffer.from(encryption.encrypt(plain), 'base64url')
        const bit = at % (8 * bytes.length)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        expect(outcome(urlSafe(bytes))).toEqual(refused)
      }),
    )
  })

  test('with any one character changed, added, moved or left out is refused', () => {
    fc.assert(
      fc.property(text, mutation, (plain, change) => {
        const token = encryption.encrypt(plain)
        const changed = mutate(token, change)
        fc.pre(changed !== token)
        expect(outcome(changed)).toEqual(refused)
      }),
    )
  })

  test('cut short anywhere is refused', () => {
    const token = encryption.encrypt('a text of more than one block')
    for (const end of token.split('').keys()) expect(outcome(token.slice(0, end))).toEqual(refused)
  })

  test('that is any other text is refused, and nothing else happens', () => {
    const made = fc.uint8Array({ maxLength: 200 }).map((bytes) => urlSafe(Buffer.from([0x80, ...bytes])))
    fc.assert(
      fc.property(fc.oneof(text, made), (token) => {
        expect(outcome(token)).toEqual(refused)
      }),
    )
  })

  test('of another version is refused, though its signature is right', () => {
    expect(outcome(forge({ version: 0x80 }))).toBe('text')
    for (const version of [0, 0x7f, 0x81, 0xff]) expect(outcome(forge({ version }))).toEqual(refused)
  })

  test('that holds no UTF-8 is refused, not mended, though its signature is right', () => {
    expect(outcome(forge({ plain: Buffer.from('Ä') }))).toBe('Ä')
    for (const plain of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80]])
      expect(outcome(forge({ plain: Buffer.from(plain) }))).toEqual(refused)
  })

  // Of one block, two and three: they end in `==`, in `=` and without padding.
  test.for([8, 24, 40])('is refused in any other spelling of its bytes (RFC 4648 §3): text of %i letters', (length) => {
    // An IV of ones brings the letters that the two alphabets write differently.
    const token = encryption.encrypt('x'.repeat(length), { iv: Buffer.alloc(16, 0xff) })
    const letters = token.replace(/=+$/, '')
    const bytes = Buffer.from(token, 'base64url')
    const spellings = [
      letters,
      `${letters}=`,
      `${letters}==`,
      `${token}=`,
      `${token}\n`,
      ` ${token}`,
      `${token.slice(0, 76)}\n${token.slice(76)}`,
      bytes.toString('base64'),
      ...otherSpellings(letters).map((spelling) => spelling + token.slice(letters.length)),
    ].filter((spelling) => spelling !== token)
    expect(spellings.length).toBeGreaterThan(6)
    for (const spelling of spellings) expect(outcome(spelling)).toEqual(refused)
    expect(outcome(token)).toBe('x'.repeat(length))
  })
})

describe('the age of a token', () => {
  const now = 1_000_000_000
  const token = encryption.encrypt('text', { now })

  test('counts only where it is asked for', () => {
    expect(outcome(token, { now: now + 10 ** 9 })).toBe('text')
    expect(outcome(token, { now: 0 })).toBe('text')
  })

  test('may be what is allowed, and no second more', () => {
    expect(outcome(token, { now: now + 60, ttl: 60 })).toBe('text')
    expect(outcome(token, { now: now + 61, ttl: 60 })).toEqual(refused)
    expect(outcome(token, { now, ttl: 0 })).toBe('text')
  })

  test('may be a minute in the future: clocks differ', () => {
    expect(outcome(token, { now: now - 60, ttl: 60 })).toBe('text')
    expect(outcome(token, { now: now - 61, ttl: 60 })).toEqual(refused)
  })
})

describe('of several keys (ASVS 11.2.2)', () => {
  const rotated = createEncryption([newest, earlier])

  test('each decrypts, and the first encrypts', () => {
    expect(rotated.decrypt(encryption.encrypt('of the earlier key'))).toBe('of the earlier key')
    expect(rotated.decrypt(rotated.encrypt('of the newest'))).toBe('of the newest')
    expect(createEncryption([newest]).decrypt(rotated.encrypt('of the newest'))).toBe('of the newest')
    expect(outcome(rotated.encrypt('of the newest'))).toEqual(refused)
  })

  test('the first tells its own tokens from those that want encrypting again', () => {
    expect(rotated.isCurrent(rotated.encrypt('text'))).toBe(true)
    expect(rotated.isCurrent(encryption.encrypt('text'))).toBe(false)
    expect(rotated.isCurrent(createEncryption([foreign]).encrypt('text'))).toBe(false)
    expect(encryption.isCurrent(encryption.encrypt('text'))).toBe(true)
  })

  test('none decrypts what was encrypted under an unknown one', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), text, (key, plain) => {
        const token = createEncryption([urlSafe(Buffer.from(key))]).encrypt(plain)
        expect(outcome(token, {}, rotated)).toEqual(refused)
        expect(rotated.isCurrent(token)).toBe(false)
      }),
    )
  })

  test('both halves count: one that signs alike but encrypts otherwise gives no text', () => {
    const [signing, encrypting] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)]
    const sibling = createEncryption([urlSafe(Buffer.concat([signing, encrypting]))])
    const other = createEncryption([urlSafe(Buffer.concat([signing, Buffer.alloc(16, 3)]))])
    // The MAC is right, so what decrypts to broken padding or broken UTF-8 is found last, with the same error.
    expect(outcome(sibling.encrypt('a text', { iv: Buffer.alloc(16) }), {}, other)).toEqual(refused)
  })
})
