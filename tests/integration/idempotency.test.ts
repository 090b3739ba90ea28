import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { ConflictError, KeyReusedError } from '../../src/core/errors.ts'
import { createFingerprint } from '../../src/core/security/fingerprints.ts'
import { createIdempotencyKeyRepository } from '../../src/repositories/idempotency-key.repository.ts'
import { createIdempotencyService } from '../../src/services/idempotency.service.ts'
import { useApi, type Account, type Reply } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { countItems } from '../support/items.ts'
import { idOf } from '../support/sessions.ts'
import { settings } from '../support/settings.ts'

const auth = '/api/v1/auth'
const me = '/api/v1/users/me'
const items = '/api/v1/items'

onEachDatabase((kind) => {
  // On a busy machine twenty at once are too much.
  const api = useApi(kind, { OVERLOAD_DELAY_MS: '0', TRUST_PROXY: '127.0.0.1' })

  const post = (path: string, body: unknown, key: string, account?: Account) =>
    api.post(path, body, {
      headers: { 'idempotency-key': key },
      ...(account && { token: account.access_token }),
    })
  const isReplay = ({ headers }: Reply) => headers.get('idempotency-replayed') === 'true'
  const storedKeys = () => api.database.query().selectFrom('idempotency_keys').selectAll().execute()

  test('a POST that is sent again makes nothing more, and gets the same answer', async () => {
    const account = await api.account()
    const before = await countItems(api.database)
    const key = randomUUID()
    const first = await post(items, { name: 'Once' }, key, account)
    expect([first.status, isReplay(first)]).toEqual([201, false])
    for (const spelling of [key, `"${key}"`]) {
      const again = await post(items, { name: ' Once ' }, spelling, account)
      expect([again.status, again.text, isReplay(again)]).toEqual([201, first.text, true])
      expect(again.headers.get('location')).toBe(first.headers.get('location'))
      expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'))
    }
    expect(await countItems(api.database)).toBe(before + 1)
  })

  test('the same key with another body or query is refused', async () => {
    const account = await api.account()
    const before = await countItems(api.database)
    await post(items, { name: 'One thing' }, 'a key', account).then(({ status }) => expect(status).toBe(400))
    await post(items, { name: 'One thing' }, '"a key"', account)
    const other = await post(items, { name: 'Another thing' }, '"a key"', account)
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_key_reused'])
    expect((await post(`${items}?notify=true`, { name: 'One thing' }, '"a key"', account)).status).toBe(422)
    expect(await countItems(api.database)).toBe(before + 1)
  })

  test('a key is one within an account and a route', async () => {
    const [ada, ben] = await Promise.all([api.account(), api.account()])
    const key = randomUUID()
    const answers = [
      await post(items, { name: 'Mine' }, key, ada),
      await post(items, { name: 'Mine' }, key, ben),
      await post(`${auth}/logout`, { refresh_token: 'none' }, key),
      await post(`${me}/password`, { old_password: ada.password, new_password: 'another good one' }, key, ada),
    ]
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 200, 200])
    expect(answers.some(isReplay)).toBe(false)
  })

  test('of many at once one makes it; the others are told to ask again, or get its answer', async () => {
    const account = await api.account()
    const before = await countItems(api.database)
    const key = randomUUID()
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(items, { name: 'Race' }, key, account)))
    const made = answers.filter(({ status }) => status === 201)
    const told = answers.filter(({ status }) => status === 409)
    expect(new Set(made.map(({ text }) => text)).size).toBe(1)
    expect(made.filter((answer) => !isReplay(answer))).toHaveLength(1)
    expect(made.length + told.length).toBe(20)
    for (const { body, headers } of told) {
      expect(body.code).toBe('idempotency_key_in_use')
      expect(headers.get('retry-after')).toBe('1')
    }
    expect(await countItems(api.database)).toBe(before + 1)
  })

  test('a key is forgotten when its time is over, and the purge deletes it', async () => {
    const account = await api.account()
    const key = randomUUID()
    const first = await post(items, { name: 'Old' }, key, account)
    const expire = () =>
      api.database
        .query()
        .updateTable('idempotency_keys')
        .set({ expires_at: api.database.clock(-1) })
        .execute()
    await expire()
    const second = await post(items, { name: 'New' }, key, account)
    expect([second.status, isReplay(second)]).toEqual([201, false])
    expect(second.headers.get('location')).not.toBe(first.headers.get('location'))
    expect(isReplay(await post(items, { name: 'New' }, key, account))).toBe(true)
    await expire()
    const { idempotency_keys } = await api.services.purge.run()
    expect(idempotency_keys).toBeGreaterThan(0)
    expect(await storedKeys()).toEqual([])
  })

  test('what fails is not kept: the same request may come again', async () => {
    const account = await api.account()
    const key = randomUUID()
    expect((await post(items, { name: '' }, key, account)).status).toBe(400)
    expect((await post(items, { name: 'Mended' }, key)).status).toBe(401)
    expect((await post(items, { name: 'Mended' }, key, account)).status).toBe(201)
  })

  test('an answer that cannot be stored is not given, and its change is not made', async () => {
    const account = await api.account()
    const before = await countItems(api.database)
    const key = randomUUID()
    const trigger = {
      sqlite: [sql`create trigger spoil before update on idempotency_keys begin select raise(abort, 'spoiled'); end`],
      postgresql: [
        sql`create function spoil() returns trigger as $$ begin raise exception 'spoiled'; end $$ language plpgsql`,
        sql`create trigger spoil before update on idempotency_keys for each row execute function spoil()`,
      ],
    }
    for (const statement of trigger[kind]) await statement.execute(api.database.query())
    const failed = await post(items, { name: 'Never' }, key, account)
    expect([failed.status, failed.headers.get('location')]).toEqual([500, null])
    await sql`drop trigger spoil ${sql.raw(kind === 'postgresql' ? 'on idempotency_keys' : '')}`.execute(
      api.database.query(),
    )
    expect(await countItems(api.database)).toBe(before)
    const again = await post(items, { name: 'Never' }, key, account)
    expect([again.status, isReplay(again)]).toEqual([201, false])
    expect(await countItems(api.database)).toBe(before + 1)
  })

  test.for(['', ' ', 'two words', 'a, b', '"', '"open', 'ü', 'x'.repeat(256), `"${'x'.repeat(256)}"`, '"a";b=1'])(
    'a key such as %j is refused, naming the header',
    async (key) => {
      const answer = await post(`${auth}/logout`, { refresh_token: 'none' }, key)
      expect([answer.status, answer.body.errors?.[0]?.field]).toEqual([400, 'Idempotency-Key'])
    },
  )

  test.runIf(kind === 'postgresql')('a key that another transaction is just taking is not waited for', async () => {
    const keys = createIdempotencyKeyRepository(api.database)
    const claim = () => keys.claim({ key: 'busy', request_hash: '', seconds: 60 })
    const [claimed, end] = [Promise.withResolvers<boolean>(), Promise.withResolvers<void>()]
    const first = api.database.transaction(async () => {
      claimed.resolve(await claim())
      await end.promise
    })
    expect(await claimed.promise).toBe(true)
    expect(await api.database.transaction(claim)).toBe(false)
    end.resolve()
    await first
  })

  test('who fails because another process was quicker gets its answer', async () => {
    const request = { key: randomUUID(), scope: ['/'], content: '' }
    const answer = { status: 201, headers: {}, body: 'made' }
    const keys = createIdempotencyKeyRepository(api.database)
    const fingerprint = createFingerprint(settings())
    const needs = { keys, frame: api.database.frame, fingerprint, lifetime: 60 }
    const { once } = createIdempotencyService(needs)
    let looks = 0
    const late = createIdempotencyService({
      ...needs,
      keys: { ...keys, find: async (key) => (++looks === 1 ? undefined : keys.find(key)) },
    })
    await once(request, async () => answer)
    const taken = async () => {
      throw new ConflictError('email', 'This email is already in use')
    }
    expect(await late.once(request, taken)).toEqual({ answer, isReplay: true })
    looks = 0
    expect(await late.once(request, async () => answer)).toEqual({ answer, isReplay: true })
    looks = 0
    await expect(late.once({ ...request, content: 'other' }, taken)).rejects.toThrow(KeyReusedError)
  })

  describe('of accounts and sessions', () => {
    const person = () => ({ email: `${randomUUID()}@example.com`, password: 'correct horse battery' })
    const names = { first_name: 'Ada', last_name: 'Lovelace' }

    test('a registration is made once, and its tokens are given again', async () => {
      const body = { ...person(), ...names }
      const key = randomUUID()
      const first = await post(`${auth}/register`, body, key)
      const again = await post(`${auth}/register`, body, key)
      expect([first.status, again.status, isReplay(again)]).toEqual([201, 201, true])
      expect(again.body).toEqual(first.body)
      expect((await api.get(me, { token: again.body.data.access_token })).body.data.email).toBe(body.email)
      expect((await post(`${auth}/register`, { ...body, first_name: 'Eve' }, key)).status).toBe(422)
    })

    test('a sign-in opens one session; with a wrong password it gives nothing away', async () => {
      const { email, password } = await api.account()
      const key = randomUUID()
      const first = await post(`${auth}/login`, { email, password }, key)
      const again = await post(`${auth}/login`, { email, password }, key)
      expect(again.body).toEqual(first.body)
      const wrong = await post(`${auth}/login`, { email, password: 'a wrong password' }, key)
      expect([wrong.status, wrong.text.includes('token')]).toEqual([422, false])
      const sessions = await api.get(`${auth}/sessions`, { token: first.body.data.access_token })
      expect(sessions.body.data).toHaveLength(2)
    })

    test('a stranger elsewhere who knows the key learns nothing of the password', async () => {
      const { email, password } = await api.account()
      const headers = (address: string) => ({ 'idempotency-key': 'a-key-that-is-guessed', 'x-forwarded-for': address })
      const send = (guess: string, address: string) =>
        api.post(`${auth}/login`, { email, password: guess }, { headers: headers(address) })
      expect((await send(password, '192.0.2.1')).status).toBe(200)
      const guesses = [await send('a wrong password', '192.0.2.2'), await send(password, '192.0.2.2')]
      expect(guesses.map(({ status }) => status)).toEqual([401, 200])
      expect(guesses.some(isReplay)).toBe(false)
      expect(isReplay(await send(password, '192.0.2.1'))).toBe(true)
    })

    test('a refused sign-in is refused again, and the right one under the same key succeeds', async () => {
      const { email, password } = await api.account()
      const key = randomUUID()
      for (let attempt = 0; attempt < 2; attempt++)
        expect((await post(`${auth}/login`, { email, password: 'a wrong password' }, key)).status).toBe(401)
      expect((await post(`${auth}/login`, { email, password }, key)).status).toBe(200)
    })

    test('a refresh rotates once; a theft under a key is found and stands', async () => {
      const account = await api.account()
      const key = randomUUID()
      const { refresh_token } = account
      const first = await post(`${auth}/refresh`, { refresh_token }, key)
      const again = await post(`${auth}/refresh`, { refresh_token }, key)
      expect([first.status, again.text]).toEqual([200, first.text])
      const next = await api.post(`${auth}/refresh`, { refresh_token: first.body.data.refresh_token })
      expect((await api.get(me, { token: next.body.data.access_token })).status).toBe(200)
      expect((await post(`${auth}/refresh`, { refresh_token }, randomUUID())).status).toBe(401)
      expect((await api.get(me, { token: next.body.data.access_token })).status).toBe(401)
      const session = api.database.query().selectFrom('sessions').where('public_id', '=', idOf(account))
      expect(await session.select('revoke_reason').executeTakeFirst()).toEqual({ revoke_reason: 'refresh_reuse' })
    })

    test('a changed password is not asked for again', async () => {
      const account = await api.account()
      const key = randomUUID()
      const change = { old_password: account.password, new_password: 'a better password' }
      const first = await post(`${me}/password`, change, key, account)
      const again = await post(`${me}/password`, change, key, account)
      expect([first.status, again.text, isReplay(again)]).toEqual([200, first.text, true])
    })

    test('neither keys nor tokens nor passwords can be read in the table', async () => {
      const key = randomUUID()
      const body = { ...person(), ...names }
      const { body: reply } = await post(`${auth}/register`, body, key)
      const text = JSON.stringify(await storedKeys())
      for (const secret of [key, body.password, body.email, reply.data.access_token, reply.data.refresh_token])
        expect(text).not.toContain(secret)
    })
  })
})
