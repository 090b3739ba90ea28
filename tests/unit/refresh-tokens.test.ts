import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { createRefreshTokens } from '../../src/core/security/refresh-tokens.ts'
import { settings } from '../support/settings.ts'

const secret = 'the first secret of 32 bytes or more'
const otherSecret = 'another secret of 32 bytes or more'
const tokens = createRefreshTokens(settings({ SECRET_KEY: secret }))
const claims = { sid: randomUUID(), gen: 7 }

test('a token names its session and generation', () => {
  expect(tokens.verify(tokens.sign(claims))).toEqual(claims)
})

test('the same successor can be made again, so that an honest retry gets it', () => {
  expect(tokens.sign(claims)).toBe(tokens.sign(claims))
  expect(tokens.sign({ ...claims, gen: 8 })).not.toBe(tokens.sign(claims))
})

test('a token with any one character changed is refused', () => {
  const token = tokens.sign(claims)
  const variants = [...token].map(
    (letter, index) => token.slice(0, index) + (letter === '1' ? '2' : '1') + token.slice(index + 1),
  )
  expect(variants.filter((variant) => tokens.verify(variant))).toEqual([])
})

test('a token cut short, continued or written in another way is refused', () => {
  const token = tokens.sign(claims)
  const [version, key, sid, gen, mac] = token.split('.') as [string, string, string, string, string]
  const variants = [
    '',
    token.slice(0, -1),
    `${token}=`,
    `${token}\n`,
    ` ${token}`,
    [version, key, sid, gen].join('.'),
    [version, key, sid, gen, ''].join('.'),
    [version, key, sid.toUpperCase(), gen, mac].join('.'),
    [version, key, sid, `0${gen}`, mac].join('.'),
    [version, key, sid, `-${gen}`, mac].join('.'),
    [version, key, sid, `${gen}.0`, mac].join('.'),
    // The last character of 32 bytes in base64url has two spare bits: only one spelling counts.
    ...[...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
      .filter((letter) => !mac.endsWith(letter))
      .map((letter) => token.slice(0, -1) + letter),
  ]
  expect(variants.filter((variant) => tokens.verify(variant))).toEqual([])
})

test('a token made under another secret is refused', () => {
  const foreign = createRefreshTokens(settings({ SECRET_KEY: otherSecret }))
  expect(tokens.verify(foreign.sign(claims))).toBeUndefined()
})

test('after a change of keys the tokens of the previous one stay good, and new ones are made with the new (ASVS 11.2.2)', () => {
  const rotated = createRefreshTokens(settings({ SECRET_KEY: otherSecret, SECRET_KEY_PREVIOUS: secret }))
  expect(rotated.verify(tokens.sign(claims))).toEqual(claims)
  expect(rotated.verify(rotated.sign(claims))).toEqual(claims)
  expect(tokens.verify(rotated.sign(claims))).toBeUndefined()
})

test('a token is its claims in plain sight and a MAC over them', () => {
  expect(tokens.sign(claims)).toMatch(/^r1\.[\w-]{8}\.[\da-f-]{36}\.7\.[\w-]{43}$/)
})
