import { readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { Api } from '../support/api.ts'
import { freshDatabase } from '../support/databases.ts'
import { hasTerminal, useProject } from '../support/process.ts'
import { environment } from '../support/settings.ts'

const password = 'correct horse battery'
const enter = '\r'
const endOfInput = '\u0004'
const interrupt = '\u0003'

describe.skipIf(!hasTerminal)('at a terminal (needs "script" of util-linux)', () => {
  const project = useProject()
  let given: Record<string, string>
  beforeAll(async () => {
    given = { ...environment, DATABASE_URL: await freshDatabase('sqlite') }
  })
  /** Starts a command, and answers each question when it is asked. Gives the exit code and what was to be seen. */
  async function converse(parameters: string[], answers: [question: RegExp, answer: string][], redirection = '') {
    const program = project.atTerminal(parameters, given, redirection)
    for (const [question, answer] of answers) {
      await program.seen(question)
      program.type(answer)
    }
    return { code: await program.ended, raw: program.stdout, seen: stripVTControlCharacters(program.stdout) }
  }
  const accounts = async () => {
    const { stdout } = await project.app(['users', 'list'], given)
    return stdout.split('\n').filter(Boolean)
  }

  test('a new account is asked for, its password twice and never shown', async () => {
    const { code, seen } = await converse(
      ['users', 'create', 'ada@example.com', '--json'],
      [
        [/First name/, `Ada${enter}`],
        [/Last name/, `Lovelace${enter}`],
        [/New password/, `password1${enter}`],
        [/most common passwords[^]*New password/, `${password}${enter}`],
        [/The same again/, `correct horse${enter}`],
        [/That is another one/, ` battery${enter}`],
      ],
      '> result.json',
    )
    expect(code).toBe(0)
    for (const part of ['correct', 'horse', 'battery']) expect(seen).not.toContain(part)
    // A person knows what they did: no line of the log among the questions.
    expect(seen).not.toContain('"channel"')
    const result = JSON.parse(readFileSync(project.path('result.json'), 'utf8')) as { public_id: string }
    expect(result).toEqual({ public_id: expect.any(String), email: 'ada@example.com' })

    const api = new Api()
    await api.start('sqlite', given)
    const { status } = await api.post('/api/v1/auth/login', { email: 'ada@example.com', password })
    const events = await api.database.query().selectFrom('audit_events').select('event').orderBy('id').execute()
    await api.stop()
    expect(status).toBe(200)
    expect(events.map(({ event }) => event)).toEqual(['account.created', 'login.succeeded'])
  })

  test('Ctrl+C or Ctrl+D at any question, or a no, is 130 and changes nothing', async () => {
    const before = await accounts()
    const cancelled = await Promise.all([
      converse(['users', 'create', 'eve@example.com'], [[/First name/, interrupt]]),
      converse(
        ['users', 'create', 'eve@example.com', '--first-name', 'Eve', '--last-name', 'E'],
        [
          [/New password/, `${password}${enter}`],
          [/The same again/, interrupt],
        ],
      ),
      converse(['db', 'reset'], [[/Drop everything/, enter]]),
      converse(['db', 'reset'], [[/Drop everything/, 'n']]),
      converse(['db', 'reset'], [[/Drop everything/, endOfInput]]),
      converse(['users', 'create', 'eve@example.com'], [[/First name/, endOfInput]]),
    ])
    for (const { code, seen } of cancelled) {
      expect(seen).toContain('Nothing was changed.')
      expect(code).toBe(130)
    }
    expect(await accounts()).toEqual(before)
  })

  test('a long seed shows how far it is, and Ctrl+C ends it with 130; run again it fills up', async () => {
    const { code, seen } = await converse(
      ['db', 'seed', '--items', '900000'],
      [[/Adding \d+ items █.* [1-9]\d* %/, interrupt]],
    )
    expect(code).toBe(130)
    expect(seen).not.toContain('added')
    const wanted = JSON.parse((await project.app(['db', 'stats', '--json'], given)).stdout) as {
      tables: { name: string; rows: number }[]
    }
    const { rows } = wanted.tables.find(({ name }) => name === 'items')!
    expect(rows % 1000).toBe(0)
    const again = await project.app(['db', 'seed', '--items', String(rows + 5)], given)
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/items: 5 added\n$/) })
  })

  test('rows are a table with a head, in colours only where they are wanted', async () => {
    const [coloured, plain, complaint] = await Promise.all([
      converse(['users', 'list'], []),
      (async () => {
        const program = project.atTerminal(['users', 'list'], { ...given, NO_COLOR: '1' })
        return { code: await program.ended, raw: program.stdout }
      })(),
      converse(['users', 'show', 'nobody@example.com'], []),
    ])
    expect(coloured.raw).toContain('\u001B[1mpublic_id')
    expect(coloured.seen).toMatch(/^public_id +email +first_name .+last_login\r\n[\w-]{36} {2}ada@example\.com {2}Ada/)
    expect(coloured.seen).toMatch(/page 1 of 1, 1 in all\r\n$/)
    expect(plain.raw).not.toContain('\u001B')
    expect(plain.raw.replaceAll('\r', '')).toBe(coloured.seen.replaceAll('\r', ''))
    expect(complaint).toMatchObject({ code: 1, raw: '\u001B[31mThere is no such account\u001B[39m\r\n' })
  })
})
