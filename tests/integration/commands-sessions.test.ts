import { expect, test } from 'vitest'
import { toldIn, useCommands } from '../support/commands.ts'
import { onEachDatabase } from '../support/databases.ts'
import { idOf } from '../support/sessions.ts'

const unknown = '00000000-0000-4000-8000-000000000000'
const me = '/api/v1/users/me'

onEachDatabase((kind) => {
  const { api, app, logIn, events } = useCommands(kind)

  test('sessions are shown, and end one by one or all together', async () => {
    const first = await api.account({ email: 'ada@example.com' })
    const second = (await logIn(first.email, first.password)).body.data
    const third = (await logIn(first.email, first.password)).body.data
    const statuses = () =>
      Promise.all([first, second, third].map(async ({ access_token: token }) => (await api.get(me, { token })).status))

    const [json, fields] = await Promise.all([
      app(['sessions', 'list', 'ADA@example.com', '--json']),
      app(['sessions', 'list', first.email]),
    ])
    const { sessions } = JSON.parse(json.stdout) as { sessions: { public_id: string; ip: string }[] }
    expect(sessions.map(({ public_id }) => public_id)).toEqual([third, second, first].map(idOf))
    expect(sessions[0]!.ip).toBe('127.0.0.1')
    const lines = fields.stdout.trimEnd().split('\n')
    expect(lines.map((line) => line.split('\t')[0])).toEqual([third, second, first].map(idOf))

    const one = await app(['sessions', 'revoke', idOf(second)])
    expect(one).toMatchObject({ code: 0, stdout: `${idOf(second)} has ended.\n` })
    expect(await statuses()).toEqual([200, 401, 200])
    // It has ended already: no event, and no success.
    expect(await app(['sessions', 'revoke', idOf(second)])).toMatchObject({
      code: 1,
      output: 'There is no such live session\n',
    })
    const all = await app(['sessions', 'revoke', '--user', first.email])
    expect(all).toMatchObject({ code: 0, stdout: 'Sessions ended: 2.\n' })
    expect(await statuses()).toEqual([401, 401, 401])
    expect(await app(['sessions', 'revoke', '--user', first.email])).toMatchObject({
      code: 0,
      output: 'Sessions ended: 0.\n',
    })

    expect(await events()).toMatchObject([
      { event: 'session.revoked', reason: 'revoked', sessions: null },
      { event: 'session.revoked', reason: 'revoked', sessions: 2 },
    ])
    expect(toldIn(one.stderr)).toMatchObject([{ event: 'session.revoked', session: idOf(second) }])
    expect(toldIn(all.stderr)).toMatchObject([{ event: 'session.revoked', sessions: 2 }])
  })

  test('a session that is not there, or not named, is no success', async () => {
    const told = await Promise.all(
      [[unknown], ['nothing'], [], [unknown, '--user', 'ada@example.com'], ['--user', 'nobody@example.com']].map(
        (parameters) => app(['sessions', 'revoke', ...parameters]),
      ),
    )
    expect(told.map(({ code, output }) => [code, output])).toEqual([
      [1, 'There is no such live session\n'],
      [2, 'session must be a UUID\n'],
      [2, 'Name either a session or --user\n'],
      [2, 'Name either a session or --user\n'],
      [1, 'There is no such account\n'],
    ])
  })

  test('a purge tells what it deleted', async () => {
    const { code, stdout } = await app(['sessions', 'purge', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ deleted: { sessions: 0, throttles: 0, audit_events: 0, idempotency_keys: 0 } })
  })
})
