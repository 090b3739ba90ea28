import { describe, expect, test } from 'vitest'
import { toldIn, useCommands } from '../support/commands.ts'
import { onEachDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { environment } from '../support/settings.ts'

const unknown = '00000000-0000-4000-8000-000000000000'
const password = 'correct horse battery'
const me = '/api/v1/users/me'

onEachDatabase((kind) => {
  const { api, app, logIn, events } = useCommands(kind)

  test('an account is made with a password from standard input, and signs in', async () => {
    const names = ['--first-name', 'Grace', '--last-name', 'Hopper', '--role', 'admin', '--verified', '--json']
    const made = await app(['users', 'create', ' Grace@Example.com', ...names, '--password-stdin'], `${password}\n`)
    expect(made.code).toBe(0)
    const { public_id, ...shown } = JSON.parse(made.stdout) as { public_id: string }
    expect(shown).toEqual({ email: 'grace@example.com' })
    expect(made.output).not.toContain(password)

    const { status, body } = await logIn('grace@example.com', password)
    expect(status).toBe(200)
    expect((await api.get(me, { token: body.data.access_token })).body.data).toMatchObject({
      public_id,
      first_name: 'Grace',
      last_name: 'Hopper',
      role: 'admin',
      is_verified: true,
    })
    const event = { event: 'account.created', user: public_id, reason: 'admin' }
    expect(toldIn(made.stderr)).toEqual([expect.objectContaining({ ...event, channel: 'audit', ip: '127.0.0.1' })])
    expect(await events()).toEqual([
      { ...event, sessions: null, user_agent: expect.stringMatching(/^app users create by \S/) },
    ])
  })

  test('what is wrong with a new account is told by the field, and nothing is made', async () => {
    await api.account({ email: 'taken@example.com' })
    const before = await events()
    const names = ['--first-name', 'A', '--last-name', 'B']
    const create = (email: string, input: string | Buffer) =>
      app(['users', 'create', email, ...names, '--password-stdin'], input)
    const refused = await Promise.all([
      create('new@example.com', 'password123'),
      create('new@example.com', 'a'.repeat(129)),
      create('nobody', password),
      create('new@example.com', Buffer.from('café au lait', 'latin1')),
      create('TAKEN@example.com', password),
    ])
    expect(refused.map(({ code, output }) => [code, output])).toEqual([
      [2, 'password is among the most common passwords: choose another\n'],
      [2, 'password must have 8 to 128 characters\n'],
      [2, 'email must be an e-mail address\n'],
      [2, 'The password on standard input is not UTF-8\n'],
      [1, 'This email is already in use\n'],
    ])
    expect(await events()).toEqual(before)
  })

  test('a lost password is replaced by a made one, which ends every session', async () => {
    const { email, access_token: token, password: old } = await api.account()
    const reset = await app(['users', 'reset-password', email, '--generate-password'])
    expect(reset.code).toBe(0)
    const [, made = ''] = /^sessions_ended\t1\npassword\t(\S{20})\n$/.exec(reset.stdout) ?? []
    expect(toldIn(reset.stderr)).toEqual([expect.objectContaining({ event: 'password.reset', sessions: 1 })])
    expect(reset.stderr).not.toContain(made)
    expect((await api.get(me, { token })).status).toBe(401)
    expect((await logIn(email, old)).status).toBe(401)
    expect((await logIn(email, made)).status).toBe(200)
    expect((await events()).at(-1)).toMatchObject({ event: 'password.reset', sessions: 1 })
  })

  test('a deactivated account is out with its next request, and in again when activated', async () => {
    const { email, password: secret, access_token: token } = await api.account()
    const { public_id } = (await api.get(me, { token })).body.data
    const before = await events()
    const out = await app(['users', 'deactivate', email])
    expect(out).toMatchObject({ code: 0, stdout: `${email} is deactivated, and its sessions have ended.\n` })
    expect((await api.get(me, { token })).status).toBe(401)
    expect((await logIn(email, secret)).status).toBe(401)
    expect(await app(['users', 'deactivate', email])).toMatchObject({
      code: 0,
      output: `${email} was deactivated already.\n`,
    })
    const shown = JSON.parse((await app(['users', 'show', public_id, '--json'])).stdout) as object
    expect(shown).toMatchObject({ email, is_active: false, live_sessions: 0 })

    expect(await app(['users', 'activate', public_id])).toMatchObject({ code: 0 })
    expect((await app(['users', 'activate', public_id])).output).toBe(`${public_id} was active already.\n`)
    expect((await logIn(email, secret)).status).toBe(200)
    // The sessions that ended stay ended.
    expect((await api.get(me, { token })).status).toBe(401)
    expect((await events()).slice(before.length)).toMatchObject([
      { event: 'account.deactivated', user: public_id, sessions: 1 },
      { event: 'account.activated', user: public_id },
    ])
  })

  test('another role counts from the next request on, and each change is one event', async () => {
    const { email, access_token: token } = await api.account()
    const { public_id } = (await api.get(me, { token })).body.data
    const before = await events()
    const item = await api.post('/api/v1/items', { name: 'of another' }, { token: (await api.account()).access_token })
    const path = `/api/v1/items/${item.body.data.public_id}`
    expect((await api.patch(path, { name: 'mine' }, { token })).status).toBe(403)
    expect((await app(['users', 'set-role', email, 'admin'])).code).toBe(0)
    expect((await api.patch(path, { name: 'mine' }, { token })).status).toBe(200)

    const again = await app(['users', 'set-role', email, 'admin'])
    expect(again).toMatchObject({ code: 0, output: `${email} had the role admin already.\n` })
    expect((await app(['users', 'verify', email])).code).toBe(0)
    expect((await app(['users', 'verify', email])).output).toBe(`${email} was verified already.\n`)
    expect((await api.get(me, { token })).body.data).toMatchObject({ role: 'admin', is_verified: true })
    expect((await events()).slice(before.length)).toMatchObject([
      { event: 'role.changed', user: public_id, reason: 'admin' },
      { event: 'account.verified', user: public_id },
    ])
  })

  test('who is not there is exit code 1, and what names nobody is exit code 2', async () => {
    const before = await events()
    const missing = await Promise.all(
      [
        ['users', 'show', 'nobody@example.com'],
        ['users', 'deactivate', unknown],
        ['users', 'reset-password', unknown],
        ['sessions', 'list', unknown],
      ].map((parameters) => app(parameters)),
    )
    for (const { code, output } of missing)
      expect({ code, output }).toEqual({ code: 1, output: 'There is no such account\n' })
    const malformed = await app(['users', 'show', "' or 1=1 --"])
    expect(malformed).toMatchObject({ code: 2, output: 'user must be an e-mail address or a public id\n' })
    expect(await events()).toEqual(before)
  })
})

onEachDatabase((kind) => {
  const { api, app } = useCommands(kind)
  const list = async (...parameters: string[]) => {
    const { code, stdout } = await app(['users', 'list', '--json', ...parameters])
    expect(code).toBe(0)
    return JSON.parse(stdout) as { users: { email: string }[]; pagination: object }
  }
  const emails = async (...parameters: string[]) => (await list(...parameters)).users.map(({ email }) => email)

  test('accounts are listed by page and by each filter', async () => {
    const add = async (email: string, row: object) => {
      await api.account({ email })
      await api.database.query().updateTable('users').set(row).where('email', '=', email).execute()
    }
    await add('one@example.com', { first_name: '100%', role: 'admin' })
    await add('two_2@example.com', { last_name: 'Ødegård', is_active: false })
    await add('three@example.com', { is_verified: true })
    await add('gone@example.com', { deleted_at: api.database.clock() })

    const [all, second, ...found] = await Promise.all([
      list(),
      list('--per-page', '2', '--page', '2'),
      emails('--role', 'admin', '--search', '%'),
      emails('--no-active', '--search', '_'),
      emails('--verified'),
      emails('--search', 'ØDEGÅRD', '--no-verified', '--active'),
      emails('--search', 'ØDEGÅRD'),
    ])
    expect(all.users.map(({ email }) => email)).toEqual(['three@example.com', 'two_2@example.com', 'one@example.com'])
    expect(Object.keys(all.users[0]!)).not.toContain('password_hash')
    expect(second).toMatchObject({
      users: [{ email: 'one@example.com' }],
      pagination: { total: 3, page: 2, per_page: 2, total_pages: 2, has_next: false, has_prev: true },
    })
    expect(found).toEqual([
      ['one@example.com'],
      ['two_2@example.com'],
      ['three@example.com'],
      [],
      ['two_2@example.com'],
    ])
  })

  test('control characters in a name never reach the terminal, and add no field or line', async () => {
    const hostile = 'a\u001B[31m\tb\nc\u009B2J\u202E\u2028d\u007F'
    const { email } = await api.account()
    await api.database.query().updateTable('users').set({ first_name: hostile }).where('email', '=', email).execute()
    const [fields, record, json] = await Promise.all([
      app(['users', 'list', '--search', email]),
      app(['users', 'show', email]),
      app(['users', 'show', email, '--json']),
    ])
    for (const { code, output } of [fields, record, json]) {
      expect(code).toBe(0)
      // oxlint-disable-next-line no-control-regex -- they are what is looked for
      expect(output).not.toMatch(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u2028\u202E]/)
    }
    expect(fields.stdout.trimEnd().split('\n')).toHaveLength(1)
    expect(fields.stdout.split('\t')).toHaveLength(8)
    expect(JSON.parse(json.stdout)).toMatchObject({ first_name: hostile })
  })
})

describe('without a terminal', () => {
  const project = useProject()

  test('what is missing or wrong in a command is told in one line each', async () => {
    const database = { ...environment, DATABASE_URL: 'sqlite:///users.db' }
    expect((await project.app(['db', 'upgrade'], database)).code).toBe(0)
    const names = ['--first-name', 'A', '--last-name', 'B']
    const told = await Promise.all(
      [
        ['create', 'a@example.com', '--generate-password'],
        ['create', 'a@example.com', ...names],
        ['create', 'a@example.com', ...names, '--password-stdin', '--generate-password'],
        ['list', '--page', '0', '--per-page', '101', '--search', ''],
      ].map((parameters) => project.app(['users', ...parameters], database)),
    )
    expect(told.map(({ code, output }) => [code, output])).toEqual([
      [2, '--first-name is missing, and there is no terminal to ask at\n'],
      [2, 'Add --password-stdin or --generate-password: there is no terminal to ask for a password at\n'],
      [2, 'Give --password-stdin or --generate-password, not both\n'],
      [2, 'page must be at least 1\nper_page must be at most 100\nsearch must have 1 to 100 characters\n'],
    ])
  })
})
