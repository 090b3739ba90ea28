import { dictionary } from '@zxcvbn-ts/language-common'
import { expect, test } from 'vitest'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { settings } from '../support/settings.ts'

const { check } = createPasswords(settings())
const refusal = (password: string) =>
  check('password', password, 'ada@example.com').then(
    () => 'taken',
    () => 'refused',
  )

/** Those that the other rules would let pass. */
const common = dictionary['passwords-common'].map(String).filter((password) => [...password].length >= 8)

test('of the most common passwords that are long enough, ten thousand and more are refused, in any letter case (ASVS 6.2.4)', async () => {
  expect(common.length).toBeGreaterThan(10_000)
  const taken: string[] = []
  for (const password of common)
    for (const spelling of [password, password.toUpperCase(), password[0]!.toUpperCase() + password.slice(1)])
      if ((await refusal(spelling)) === 'taken') taken.push(spelling)
  expect(taken).toEqual([])
})

test('no kind of character is asked for (ASVS 6.2.5)', async () => {
  const plain = [
    'qzjxkvbw',
    'QZJXKVBW',
    '48201957',
    '?!?!?!?!?',
    '        x',
    'ежевика у пруда',
    '雪月花鳥風月山川',
    '🦊🐻🐼🐨🐯🦁🐮🐷',
  ]
  expect(await Promise.all(plain.map(refusal))).toEqual(plain.map(() => 'taken'))
})
