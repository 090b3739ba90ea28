import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { Client } from '../../src/core/actor.ts'
import type { Database } from '../../src/db/database.ts'
import { useApi, type Account, type Reply, type RequestOptions } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { idOf } from '../support/sessions.ts'

const day = 24 * 60 * 60 * 1000
const auth = '/api/v1/auth'
const me = '/api/v1/users/me'
const wrong = 'not the password'

/** What is recorded of an event, but for when, from where and in which request. */
interface Recorded {
  event: string
  user?: string | null
  session?: string | null
  reason?: string | null
  sessions?: number | null
}

onEachDatabase((kind) => {
  // Audit lines are written whatever the level is.
  const api = useApi(kind, {
    LOG_LEVEL: 'silent',
    RATE_LIMIT_ENABLED: 'true',
    REGISTER_MAX_PER_HOUR: '1000',
    LOGIN_MAX_FAILURES: '1',
    TRUST_PROXY: '127.0.0.1',
    AUDIT_RETENTION_DAYS: '30',
  })
  let addresses = 0

  const events = () => api.database.query().selectFrom('audit_events').selectAll().orderBy('id')
  const newest = () => events().clearOrderBy().orderBy('id', 'desc').limit(1).executeTakeFirstOrThrow()
  const userOf = async ({ email }: { email: string }) => {
    const users = api.database.query().selectFrom('users').where('email', '=', email)
    return (await users.select('public_id').executeTakeFirstOrThrow()).public_id
  }
  const refresh = async ({ refresh_token }: { refresh_token: string }) =>
    (await api.post(`${auth}/refresh`, { refresh_token })).body.data as Account
  const expire = (tokens: Account) =>
    api.database
      .query()
      .updateTable('sessions')
      .set({ expires_at: api.database.clock(-1) })
      .where('public_id', '=', idOf(tokens))
      .execute()

  describe('each security event is one line and one row, with who, what, when, from where, in which request (ASVS 16.2.1, 16.3)', () => {
    type Send = (method: string, path: string, options?: RequestOptions) => Promise<Reply>
    /** Does what is recorded, with its last request sent by `send`. Gives what should be recorded. */
    type Happening = (send: Send, client: Client) => Promise<Recorded>

    const happenings: Record<string, Happening> = {
      async 'a registration'(send) {
        const email = `${randomUUID()}@example.com`
        const body = { email, password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }
        const { data } = (await send('POST', `${auth}/register`, { body })).body
        return { event: 'account.registered', user: await userOf({ email }), session: idOf(data) }
      },
      async 'a sign-in'(send) {
        const { email, password } = await api.account()
        const { data } = (await send('POST', `${auth}/login`, { body: { email, password } })).body
        return { event: 'login.succeeded', user: await userOf({ email }), session: idOf(data) }
      },
      async 'a sign-in with a wrong password'(send) {
        const { email } = await api.account()
        await send('POST', `${auth}/login`, { body: { email, password: wrong } })
        return { event: 'login.failed', user: await userOf({ email }) }
      },
      async 'a sign-in to no account'(send) {
        await send('POST', `${auth}/login`, { body: { email: 'nobody@example.com', password: wrong } })
        return { event: 'login.failed' }
      },
      async 'a sign-in that must wait'(send) {
        const { email } = await api.account()
        const body = { email, password: wrong }
        await api.post(`${auth}/login`, body, { headers: { 'x-forwarded-for': `203.0.113.${addresses}` } })
        expect((await send('POST', `${auth}/login`, { body })).status).toBe(429)
        return { event: 'attempt.throttled', reason: 'login' }
      },
      async 'a changed password'(send) {
        const { email, password, access_token: token } = await api.account()
        await api.post(`${auth}/login`, { email, password })
        await send('POST', `${me}/password`, {
          body: { old_password: password, new_password: 'a new password' },
          token,
        })
        return { event: 'password.changed', user: await userOf({ email }), sessions: 1 }
      },
      async 'a wrong old password'(send) {
        const account = await api.account()
        const body = { old_password: wrong, new_password: 'a new password' }
        await send('POST', `${me}/password`, { body, token: account.access_token })
        return { event: 'password.refused', user: await userOf(account), session: idOf(account) }
      },
      async 'an old password that must wait'(send) {
        const account = await api.account()
        const token = account.access_token
        const body = { old_password: wrong, new_password: 'a new password' }
        await api.post(`${me}/password`, body, { token })
        expect((await send('POST', `${me}/password`, { body, token })).status).toBe(429)
        return { event: 'attempt.throttled', user: await userOf(account), reason: 'password' }
      },
      async 'a sign-out'(send) {
        const account = await api.account()
        await send('POST', `${auth}/logout`, { body: { refresh_token: account.refresh_token } })
        return { event: 'session.revoked', user: await userOf(account), session: idOf(account), reason: 'logout' }
      },
      async 'a sign-out everywhere'(send) {
        const { email, password, access_token: token } = await api.account()
        await api.post(`${auth}/login`, { email, password })
        await send('POST', `${auth}/logout-all`, { token })
        return { event: 'session.revoked', user: await userOf({ email }), reason: 'logout_all', sessions: 2 }
      },
      async 'a session ended by its owner'(send) {
        const account = await api.account()
        await send('DELETE', `${auth}/sessions/${idOf(account)}`, { token: account.access_token })
        return { event: 'session.revoked', user: await userOf(account), session: idOf(account), reason: 'revoked' }
      },
      async 'a refresh token that was stolen'(send) {
        const account = await api.account()
        await refresh(await refresh(account))
        await send('POST', `${auth}/refresh`, { body: { refresh_token: account.refresh_token } })
        return { event: 'session.refresh_reuse', user: await userOf(account), session: idOf(account) }
      },
      async 'a refresh token that is none'(send) {
        await send('POST', `${auth}/refresh`, { body: { refresh_token: 'garbage' } })
        return { event: 'session.refresh_refused', reason: 'malformed' }
      },
      async 'a refresh token of a session that ended'(send) {
        const account = await api.account()
        await api.post(`${auth}/logout`, { refresh_token: account.refresh_token })
        await send('POST', `${auth}/refresh`, { body: { refresh_token: account.refresh_token } })
        return {
          event: 'session.refresh_refused',
          user: await userOf(account),
          session: idOf(account),
          reason: 'logout',
        }
      },
      async 'a refresh token of a session that expired'(send) {
        const account = await api.account()
        await expire(account)
        await send('POST', `${auth}/refresh`, { body: { refresh_token: account.refresh_token } })
        return {
          event: 'session.refresh_refused',
          user: await userOf(account),
          session: idOf(account),
          reason: 'expired',
        }
      },
      async "a change of what is another's"(send) {
        const [owner, other] = [await api.account(), await api.account()]
        const item = await api.post('/api/v1/items', { name: 'Mine' }, { token: owner.access_token })
        const path = item.headers.get('location')!
        expect((await send('DELETE', path, { token: other.access_token })).status).toBe(403)
        return { event: 'authorization.refused', user: await userOf(other), session: idOf(other) }
      },
      async 'a deactivated account'(send) {
        const account = await api.account()
        await send('POST', `${me}/deactivate`, { token: account.access_token })
        return { event: 'account.deactivated', user: await userOf(account), sessions: 1 }
      },
      async 'a changed role'(_send, client) {
        const account = await api.account()
        await api.services.accounts.setRole(account.email, 'moderator', client)
        return { event: 'role.changed', user: await userOf(account), reason: 'moderator' }
      },
    }

    test.for(Object.entries(happenings))('%s', async ([, happen]) => {
      const where = { ip: `203.0.113.${++addresses}`, user_agent: 'a client of this test', request_id: randomUUID() }
      const headers = {
        'x-forwarded-for': where.ip,
        'user-agent': where.user_agent,
        'x-request-id': where.request_id,
      }
      const before = Date.now()
      const send: Send = (method, path, options) => api.request(method, path, { ...options, headers })
      const { event, ...details } = await happen(send, where)
      const { user = null, session = null, reason = null, sessions = null } = details

      const rows = await events().where('request_id', '=', where.request_id).execute()
      expect(rows).toEqual([
        {
          id: expect.any(Number),
          event,
          user_public_id: user,
          session_public_id: session,
          reason,
          sessions,
          ...where,
          created_at: expect.stringMatching(/Z$/),
          kept_until: expect.stringMatching(/Z$/),
        },
      ])
      const [{ created_at, kept_until } = { created_at: '', kept_until: '' }] = rows
      // The database may have a clock of its own, a little off.
      expect(Math.abs(Date.parse(created_at) - before)).toBeLessThan(10_000)
      expect(Math.round((Date.parse(kept_until) - Date.parse(created_at)) / day)).toBe(30)

      const lines = api.log.filter(({ request_id }) => request_id === where.request_id)
      expect(lines).toEqual([
        {
          level: 'info',
          time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
          channel: 'audit',
          event,
          ...Object.fromEntries(Object.entries(details).filter(([, value]) => value !== null)),
          ...where,
          msg: event,
        },
      ])
    })
  })

  test('of many requests to end the same thing at once one does, which is one event (ASVS 16.3)', async () => {
    const atOnce = (send: () => Promise<Reply>) => Promise.all(Array.from({ length: 8 }, send))
    const endings: Record<string, (account: Account) => Promise<Reply>> = {
      'session.revoked, by its refresh token': ({ refresh_token }) => api.post(`${auth}/logout`, { refresh_token }),
      'session.revoked, by its id': (account) =>
        api.delete(`${auth}/sessions/${idOf(account)}`, { token: account.access_token }),
      'session.revoked, with all others': ({ access_token: token }) =>
        api.post(`${auth}/logout-all`, undefined, { token }),
      'account.deactivated': ({ access_token: token }) => api.post(`${me}/deactivate`, undefined, { token }),
    }
    const recorded: [string, string[]][] = []
    for (const [ending, end] of Object.entries(endings)) {
      const account = await api.account()
      const { id } = await newest()
      await atOnce(() => end(account))
      const rows = await events().where('id', '>', id).execute()
      recorded.push([ending, rows.map(({ event }) => event)])
    }
    expect(recorded).toEqual(Object.keys(endings).map((ending) => [ending, [ending.split(',', 1)[0]]]))
  })

  test('of refusals of one kind from one address a thousand an hour are rows, and each is a line', async () => {
    const refuse = async (address: string) => {
      const headers = { 'x-forwarded-for': address, 'user-agent': 'of the thousand' }
      await api.post(`${auth}/refresh`, { refresh_token: 'garbage' }, { headers })
    }
    const rows = async () => (await events().where('user_agent', '=', 'of the thousand').execute()).length
    await refuse('198.51.100.1')
    // The hour has seen 999 of them.
    await api.database.query().updateTable('throttles').set({ attempts: 999 }).execute()
    for (let more = 0; more < 3; more++) await refuse('198.51.100.1')
    expect(await rows()).toBe(2)
    await refuse('198.51.100.2')
    expect(await rows()).toBe(3)
    expect(api.log.filter(({ user_agent }) => user_agent === 'of the thousand')).toHaveLength(5)
    await api.database.query().deleteFrom('throttles').execute()
  })

  describe('the database itself (ASVS 16.4.2)', () => {
    const values = {
      id: 1_000_000,
      created_at: '2020-01-01T00:00:00.000Z',
      event: 'forged',
      user_public_id: randomUUID(),
      session_public_id: randomUUID(),
      reason: 'forged',
      sessions: 7,
      user_agent: 'forged',
      request_id: 'forged',
      kept_until: '2020-01-01T00:00:00.000Z',
    }
    test.for(Object.entries(values))('refuses to change the %s of an event', async ([column, value]) => {
      await api.account()
      const before = await newest()
      const change = api.database
        .query()
        .updateTable('audit_events')
        .set({ [column]: value })
      await expect(change.where('id', '=', before.id).execute()).rejects.toThrow('audit events are not changed')
      // All at once, and together with the one column that may change.
      await expect(change.set({ ip: '203.0.113.99' }).execute()).rejects.toThrow('audit events are not changed')
      expect(await newest()).toEqual(before)
    })

    test('lets the address alone be written anew, and not be taken away: it is encrypted again when the key changes', async () => {
      await api.account()
      const before = await newest()
      const change = api.database.query().updateTable('audit_events').where('id', '=', before.id)
      await change.set({ ip: '203.0.113.99' }).execute()
      expect(await newest()).toEqual({ ...before, ip: '203.0.113.99' })
      await expect(change.set({ ip: null }).execute()).rejects.toThrow('audit events are not changed')
      expect(await newest()).toEqual({ ...before, ip: '203.0.113.99' })
    })

    test('refuses to put another event in the place of one', async () => {
      await api.account()
      const before = await newest()
      const row = { ...before, event: 'forged' }
      const insert = api.database.query().insertInto('audit_events').values(row)
      const { id: _, ...changes } = row
      const attempts = [
        insert,
        insert.onConflict((conflict) => conflict.column('id').doUpdateSet(changes)),
        ...(kind === 'sqlite' ? [insert.orReplace()] : []),
      ]
      for (const attempt of attempts)
        await expect(attempt.execute()).rejects.toThrow(/not changed|unique|already|kept/i)
      expect(await newest()).toEqual(before)
    })

    test('refuses to delete an event before its time, and not after', async () => {
      await api.account()
      const { id } = await newest()
      const add = (kept_until: ReturnType<Database['clock']>) =>
        api.database
          .query()
          .insertInto('audit_events')
          .values({ event: 'of a test', kept_until })
          .returning('id')
          .executeTakeFirstOrThrow()
      const [kept, old] = [await add(api.database.clock(60)), await add(api.database.clock(-1))]
      const remove = (row: number) => api.database.query().deleteFrom('audit_events').where('id', '=', row).execute()
      for (const row of [id, kept.id]) await expect(remove(row)).rejects.toThrow('kept until kept_until')
      await expect(api.database.query().deleteFrom('audit_events').execute()).rejects.toThrow('kept until kept_until')
      await remove(old.id)
      const left = (await events().execute()).map((row) => row.id)
      expect(left).toEqual(expect.arrayContaining([id, kept.id]))
      expect(left).not.toContain(old.id)
    })

    test('refuses to empty the table, even to its owner', async () => {
      // What SQLite calls `truncate` is a delete without a condition.
      const emptying = {
        sqlite: ['delete from audit_events'],
        postgresql: ['truncate audit_events', 'truncate audit_events restart identity cascade'],
      }
      const before = await events().execute()
      for (const statement of emptying[kind])
        await expect(sql.raw(statement).execute(api.database.query())).rejects.toThrow('kept until kept_until')
      expect(await events().execute()).toEqual(before)
    })

    test('lets the purge take what is past its time, and nothing else', async () => {
      await api.account()
      const before = (await events().execute()).length
      await api.database
        .query()
        .insertInto('audit_events')
        .values({ event: 'of a test', kept_until: api.database.clock(-1) })
        .execute()
      expect((await api.services.purge.run()).audit_events).toBe(1)
      expect(await events().execute()).toHaveLength(before)
    })
  })
})
