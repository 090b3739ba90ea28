import { expect, test } from 'vitest'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { settings } from '../support/settings.ts'

const passwords = createPasswords(settings({ APP_NAME: 'Corner Shop Online' }))
const email = 'ada.lovelace@example.com'

test('a password is stored as an Argon2id hash that tells its parameters', async () => {
  const stored = await passwords.hash('correct horse battery')
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await passwords.verify(stored, 'correct horse battery')).toBe(true)
  expect(await passwords.verify(stored, 'Correct horse battery')).toBe(false)
})

test('the same password never has the same hash twice', async () => {
  expect(await passwords.hash('correct horse battery')).not.toBe(await passwords.hash('correct horse battery'))
})

test('a hash of the reference implementation is understood', async () => {
  // phc-winner-argon2, src/test.c: "password" with the salt "somesalt".
  const reference = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  expect(await passwords.verify(reference, 'password')).toBe(true)
})

test('without an account no password matches', async () => {
  expect(await passwords.verify(undefined, '')).toBe(false)
  expect(await passwords.verify(undefined, 'correct horse battery')).toBe(false)
})

test('a hash is outdated once any parameter has changed (ASVS 11.4.2)', async () => {
  const stored = await passwords.hash('correct horse battery')
  expect(passwords.isOutdated(stored)).toBe(false)
  const changes = { ARGON2_TIME_COST: '3', ARGON2_MEMORY_COST: '20000', ARGON2_PARALLELISM: '2' }
  for (const [name, value] of Object.entries(changes))
    expect(createPasswords(settings({ [name]: value })).isOutdated(stored)).toBe(true)
})

test.for([
  ['the e-mail address (ASVS 6.2.11)', 'Ada.Lovelace@Example.com'],
  ['the part before the @', 'ADA.LOVELACE'],
  ['the name of the service', 'corner shop online'],
  ['the name of the service in one word', 'CornerShopOnline'],
  ['a common password (ASVS 6.2.4)', 'iloveyou'],
  ['a common password in capitals', 'PASSWORD1'],
  ['too short', '1234567'],
  ['too short in characters, though not in UTF-16 units', '😀'.repeat(7)],
])('a password is refused when it is %s', async ([, password]) => {
  await expect(passwords.check('new_password', password!, email)).rejects.toMatchObject({
    code: 'validation_error',
    errors: [{ field: 'new_password', message: expect.any(String) }],
  })
})

test.for([
  ['eight emoji', '😀😃😄😁😆😅🤣😂'],
  ['one letter many times: there are no composition rules (ASVS 6.2.5)', 'z'.repeat(40)],
  ['a sentence that holds the name of the service', 'I buy at Corner Shop Online'],
  ['letters beyond ASCII', 'пароль из слов'],
])('a password may be %s', async ([, password]) => {
  await expect(passwords.check('password', password!, email)).resolves.toBeUndefined()
})

test('the shortest length is a setting', async () => {
  const strict = createPasswords(settings({ PASSWORD_MIN_LENGTH: '12' }))
  await expect(strict.check('password', 'z8Kq2mXw4Ty', email)).rejects.toMatchObject({
    errors: [{ field: 'password', message: 'must have at least 12 characters' }],
  })
  await expect(strict.check('password', 'z8Kq2mXw4Tyr', email)).resolves.toBeUndefined()
})
