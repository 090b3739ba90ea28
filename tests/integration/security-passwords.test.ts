import { availableParallelism } from 'node:os'
import type * as argon2 from '@node-rs/argon2'
import { hash, verify } from '@node-rs/argon2'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { useApi, type Account } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'

// The real thing, under watch: what is not called costs nothing, and what is called alike costs alike.
vi.mock('@node-rs/argon2', async (original) => {
  const { hash: realHash, verify: realVerify } = await original<typeof argon2>()
  return { hash: vi.fn<typeof realHash>(realHash), verify: vi.fn<typeof realVerify>(realVerify) }
})

const auth = '/api/v1/auth'
const me = '/api/v1/users/me'

const bounded = useApi('sqlite')

onEachDatabase((kind) => {
  const api = useApi(kind)
  const login = (email: string, password: string) => api.post(`${auth}/login`, { email, password })
  const change = ({ access_token: token }: Account, old_password: string, new_password: string) =>
    api.post(`${me}/password`, { old_password, new_password }, { token })

  /** The parameters of each hash that was compared since the last test began, without the salt. */
  const compared = () => vi.mocked(verify).mock.calls.map(([stored]) => String(stored).split('$').slice(0, 4).join('$'))
  const parameters = '$argon2id$v=19$m=19456,t=2,p=1'
  const forget = () => {
    vi.mocked(hash).mockClear()
    vi.mocked(verify).mockClear()
  }
  beforeEach(forget)

  test('a password of 100 KB is refused without being hashed, wherever it is sent (ASVS 6.2.9, 15.2.2)', async () => {
    const huge = 'x'.repeat(100_000)
    const account = await api.account()
    forget()
    const person = { email: 'huge@example.com', first_name: 'Ada', last_name: 'Lovelace' }
    const replies = [
      await api.post(`${auth}/register`, { ...person, password: huge }),
      await login(account.email, huge),
      await login('nobody@example.com', huge),
      await change(account, huge, 'a new password'),
      await change(account, account.password, huge),
    ]
    expect(replies.map(({ status, body }) => [status, body.errors[0].field])).toEqual([
      [400, 'password'],
      [400, 'password'],
      [400, 'password'],
      [400, 'old_password'],
      [400, 'new_password'],
    ])
    expect(vi.mocked(hash).mock.calls).toEqual([])
    expect(vi.mocked(verify).mock.calls).toEqual([])
  })

  test('a changed password counts to the letter as well: its first 127 characters are another (ASVS 6.2.8, 6.2.9)', async () => {
    const account = await api.account()
    const long = ` ${'é'.repeat(126)}\u{1F511}`
    expect([...long]).toHaveLength(128)
    expect((await change(account, account.password, long)).status).toBe(200)
    for (const near of [long.trim(), [...long].slice(0, 127).join(''), long.toUpperCase(), long.normalize('NFD')])
      expect((await login(account.email, near)).status).not.toBe(200)
    expect((await login(account.email, long)).status).toBe(200)
  })

  test('a password that is no text is refused: NUL, lone surrogates, anything but a string (ASVS 15.3.5)', async () => {
    const { email } = await api.account()
    forget()
    for (const password of [
      String.raw`"a\u0000bcdefgh"`,
      String.raw`"\ud83eabcdefgh"`,
      '12345678',
      '["12345678"]',
      'null',
    ])
      expect((await api.post(`${auth}/login`, `{"email":"${email}","password":${password}}`)).status).toBe(400)
    expect(vi.mocked(verify).mock.calls).toEqual([])
  })

  test('a sign-in costs one comparison under the same parameters, whoever is asked for (ASVS 6.3.8)', async () => {
    const [active, deactivated, deleted] = [await api.account(), await api.account(), await api.account()]
    const users = api.database.query().updateTable('users')
    await users.set({ is_active: false }).where('email', '=', deactivated.email).execute()
    await users.set({ deleted_at: api.database.clock() }).where('email', '=', deleted.email).execute()
    // The dummy is made once in the life of a process.
    await login('nobody@example.com', 'the wrong password')

    for (const email of [active.email, 'nobody@example.com', deactivated.email, deleted.email]) {
      forget()
      expect((await login(email, 'the wrong password')).status).toBe(401)
      expect([compared(), vi.mocked(hash).mock.calls.length]).toEqual([[parameters], 0])
    }
    // Also where the password is the right one.
    for (const { email, password } of [deactivated, deleted]) {
      forget()
      expect((await login(email, password)).status).toBe(401)
      expect([compared(), vi.mocked(hash).mock.calls.length]).toEqual([[parameters], 0])
    }
  })
})

test('hashing is bounded: as many run as there are cores, 128 wait, the surplus is 503, and the server answers (ASVS 15.2.2)', async () => {
  const { email, password } = await bounded.account()
  const cores = availableParallelism()
  const surplus = 50
  const gate = Promise.withResolvers<void>()
  let running = 0
  let most = 0
  vi.mocked(verify).mockImplementation(async () => {
    most = Math.max(most, ++running)
    await gate.promise
    running--
    return false
  })
  onTestFinished(() => void vi.mocked(verify).mockReset())
  const refused: (string | null)[] = []
  const signIns = Array.from({ length: cores + 128 + surplus }, async () => {
    const { status, headers } = await bounded.post(`${auth}/login`, { email, password })
    if (status === 503) refused.push(headers.get('retry-after'))
    return status
  })
  // The surplus is told at once, while no other gets on.
  await vi.waitFor(() => expect(refused).toHaveLength(surplus), 20_000)
  expect(refused.filter((seconds) => !(Number(seconds) > 0))).toEqual([])
  expect(running).toBe(cores)
  for (const path of ['/health', '/health/ready', '/api/v1/items']) expect((await bounded.get(path)).status).toBe(200)

  gate.resolve()
  const statuses = await Promise.all(signIns)
  expect(statuses.filter((status) => status === 401)).toHaveLength(cores + 128)
  expect(most).toBe(cores)
})
