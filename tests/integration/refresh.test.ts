import { describe, expect, test } from 'vitest'
import { useApi, type Reply } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { idOf, rowOf } from '../support/sessions.ts'

interface Tokens {
  access_token: string
  refresh_token: string
}

/** What a refused client is told, but for the ids and the times. */
function told({ status, headers, body }: Reply) {
  const { request_id: _, timestamp: __, ...rest } = body
  return { status, challenge: headers.get('www-authenticate'), body: rest }
}

onEachDatabase((kind) => {
  const api = useApi(kind)

  const use = ({ refresh_token }: Tokens) => api.post('/api/v1/auth/refresh', { refresh_token })
  const refresh = async (tokens: Tokens): Promise<Tokens> => {
    const reply = await use(tokens)
    expect(reply.status).toBe(200)
    return reply.body.data
  }
  /** An authenticated request, which also confirms the generation of the token. */
  const profile = ({ access_token }: Tokens) => api.get('/api/v1/users/me', { token: access_token })
  const change = (tokens: Tokens, column: 'rotated_at' | 'expires_at' | 'idle_expires_at', seconds: number) =>
    api.database
      .query()
      .updateTable('sessions')
      .set({ [column]: api.database.clock(seconds) })
      .where('public_id', '=', idOf(tokens))
      .execute()
  const pastLeeway = (tokens: Tokens) => change(tokens, 'rotated_at', -11)

  /** What became of a session: why it ended, how many of these tokens still do anything, how often theft was noted. */
  async function fateOf(...known: Tokens[]) {
    const { revoke_reason: reason } = await rowOf(api, known[0]!)
    const replies = await Promise.all(known.flatMap((tokens) => [profile(tokens), use(tokens)]))
    const events = api.log.filter(
      ({ event, session }) => event === 'session.refresh_reuse' && session === idOf(known[0]!),
    )
    return { reason, live: replies.filter(({ status }) => status === 200).length, events: events.length }
  }
  const revoked = { reason: 'refresh_reuse', live: 0, events: 1 }
  /** Theft is answered like garbage: a thief learns nothing. */
  const answerToGarbage = async () => told(await use({ access_token: '', refresh_token: 'garbage' }))

  describe('a refresh', () => {
    test('gives a new pair, and the new pair works', async () => {
      const first = await api.account()
      const reply = await use(first)
      expect([reply.status, reply.headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(reply.body.data).toMatchObject({ token_type: 'Bearer', expires_in: 900 })
      expect(reply.body.data.refresh_token).not.toBe(first.refresh_token)
      expect((await profile(reply.body.data)).status).toBe(200)
      await refresh(reply.body.data)
      expect(await rowOf(api, first)).toMatchObject({ gen: 2, confirmed_gen: 1, revoked_at: null })
    })

    test('moves the idle limit and not the absolute one', async () => {
      const first = await api.account()
      await change(first, 'idle_expires_at', 60)
      const before = await rowOf(api, first)
      await refresh(first)
      const after = await rowOf(api, first)
      expect(after.expires_at).toBe(before.expires_at)
      expect(Date.parse(after.idle_expires_at)).toBeGreaterThan(Date.parse(before.idle_expires_at) + 60_000)
    })

    test('of a token that was tampered with changes nothing', async () => {
      const first = await api.account()
      const raised = first.refresh_token.replace('.0.', '.1.')
      expect((await use({ ...first, refresh_token: raised })).body.code).toBe('invalid_token')
      expect(await rowOf(api, first)).toMatchObject({ gen: 0, revoked_at: null })
    })

    test.for(['expires_at', 'idle_expires_at'] as const)(
      'is refused once the session is past its %s',
      async (limit) => {
        const tokens = await api.account()
        await change(tokens, limit, -1)
        expect((await use(tokens)).status).toBe(401)
        expect((await profile(tokens)).status).toBe(401)
        expect(await rowOf(api, tokens)).toMatchObject({ gen: 0, revoked_at: null })
      },
    )

    test('of a soft-deleted account is refused', async () => {
      const { email, ...tokens } = await api.account()
      await api.database
        .query()
        .updateTable('users')
        .set({ deleted_at: api.database.clock() })
        .where('email', '=', email)
        .execute()
      expect((await use(tokens)).status).toBe(401)
      expect((await profile(tokens)).status).toBe(401)
    })
  })

  describe('an honest retry', () => {
    test('within the leeway gets the same successor, although that one was used', async () => {
      const first = await api.account()
      const second = await refresh(first)
      await profile(second)
      expect((await refresh(first)).refresh_token).toBe(second.refresh_token)
      expect(await rowOf(api, first)).toMatchObject({ gen: 1, revoked_at: null })
    })

    test('six hours later gets the same successor, if that one was never used: its answer was lost', async () => {
      const first = await api.account()
      const lost = await refresh(first)
      await change(first, 'rotated_at', -6 * 60 * 60)
      const found = await refresh(first)
      expect(found.refresh_token).toBe(lost.refresh_token)
      expect((await profile(found)).status).toBe(200)
      await refresh(found)
    })

    test.for([20, 50])('%i uses at once give one successor', async (count) => {
      const first = await api.account()
      const all = await Promise.all(Array.from({ length: count }, () => refresh(first)))
      expect(new Set(all.map(({ refresh_token }) => refresh_token)).size).toBe(1)
      expect(await rowOf(api, first)).toMatchObject({ gen: 1, revoked_at: null })
      expect((await profile(all.at(-1)!)).status).toBe(200)
    })
  })

  describe('theft is noticed, and ends the session (RFC 9700)', () => {
    test('when a token comes back after its successor was used for a request', async () => {
      const first = await api.account()
      const second = await refresh(first)
      await profile(second)
      await pastLeeway(first)
      expect(told(await use(first))).toEqual(await answerToGarbage())
      expect(await fateOf(first, second)).toEqual(revoked)
    })

    test('when a token comes back after its successor was refreshed', async () => {
      const first = await api.account()
      const second = await refresh(first)
      const third = await refresh(second)
      await pastLeeway(first)
      expect(told(await use(first))).toEqual(await answerToGarbage())
      expect(await fateOf(first, second, third)).toEqual(revoked)
    })

    test('when a token two generations old comes back, even within the leeway', async () => {
      const first = await api.account()
      const third = await refresh(await refresh(first))
      expect(told(await use(first))).toEqual(await answerToGarbage())
      expect(await fateOf(first, third)).toEqual(revoked)
    })

    test('when it is reused many times at once, which is still one event', async () => {
      const first = await api.account()
      const third = await refresh(await refresh(first))
      const replies = await Promise.all(Array.from({ length: 10 }, () => use(first)))
      const garbage = await answerToGarbage()
      expect(replies.map(told)).toEqual(replies.map(() => garbage))
      expect(await fateOf(first, third)).toEqual(revoked)
    })

    test('and leaves the other sessions of the account alone', async () => {
      const { email, password, ...first } = await api.account()
      const elsewhere = (await api.post('/api/v1/auth/login', { email, password })).body.data
      await refresh(await refresh(first))
      await use(first)
      expect((await profile(elsewhere)).status).toBe(200)
    })
  })

  test('why a token was refused is told by the audit log, and by nothing else', async () => {
    const [expired, ended, stolen, deleted] = [
      await api.account(),
      await api.account(),
      await api.account(),
      await api.account(),
    ]
    await change(expired, 'expires_at', -1)
    await api.post('/api/v1/auth/logout', { refresh_token: ended.refresh_token })
    await refresh(await refresh(stolen))
    const users = api.database.query().updateTable('users').where('email', '=', deleted.email)
    await users.set({ deleted_at: api.database.clock() }).execute()

    const audited = async (tokens: Tokens) => {
      const known = api.log.length
      const reply = await use(tokens)
      const line = api.log.slice(known).find(({ channel }) => channel === 'audit')
      expect(told(reply)).toEqual(await answerToGarbage())
      return `${String(line?.['event'])} ${String(line?.['reason'])}`
    }
    const garbage = { access_token: '', refresh_token: 'garbage' }
    const lines = []
    for (const tokens of [garbage, expired, ended, stolen, deleted]) lines.push(await audited(tokens))
    expect(lines).toEqual([...new Set(lines)])
  })

  describe('a race', () => {
    test.for(['logout', 'logout-all'])('of refreshes against %s leaves no live token', async (path) => {
      for (let round = 0; round < 5; round++) {
        const first = await api.account()
        const end = () =>
          api.post(`/api/v1/auth/${path}`, path === 'logout' ? { refresh_token: first.refresh_token } : undefined, {
            token: first.access_token,
          })
        const [before, ended, ...after] = await Promise.all([use(first), end(), use(first), use(first)])
        expect(ended.status).toBe(200)
        const pairs = [before, ...after].filter(({ status }) => status === 200).map(({ body }) => body.data as Tokens)
        for (const tokens of [first, ...pairs]) {
          expect((await profile(tokens)).status).toBe(401)
          expect((await use(tokens)).status).toBe(401)
        }
        expect((await rowOf(api, first)).revoke_reason).toBe(path.replace('-', '_'))
      }
    })
  })
})
