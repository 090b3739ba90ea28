import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { projectRoot, readConfig } from '../../src/core/config.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { idOf } from '../support/sessions.ts'

const auth = '/api/v1/auth'
const page = readFileSync(join(projectRoot, 'docs/security.md'), 'utf8')
/** The statements on the page, without their comments. */
const statements = [...page.matchAll(/```sql\n([^]*?)```/g)]
  .flatMap(([, block]) => block!.split(';'))
  .map((statement) => statement.replaceAll(/^\s*--.*$/gm, '').trim())
  .filter(Boolean)

onEachDatabase((kind) => {
  const api = useApi(kind)
  const run = async (beginning: string) => {
    const [statement, ...others] = statements.filter((text) => text.includes(beginning))
    expect(others).toEqual([])
    // The examples tell of a day and a number that are not those of this test.
    const adapted = statement!.replace(/'20\d\d-[^']+'/, `'2020-01-01T00:00:00.000Z'`).replace('>= 10', '>= 3')
    const { rows } = await sql.raw(adapted).execute(api.database.query())
    return rows as Record<string, unknown>[]
  }

  test('the questions on the page are answered', async () => {
    expect(statements).toHaveLength(4)
    const ada = await api.account({ email: 'ada@example.com' })
    for (let guess = 0; guess < 3; guess++)
      await api.post(`${auth}/login`, { email: ada.email, password: 'not the password' })
    const refresh = async (refresh_token: string) => (await api.post(`${auth}/refresh`, { refresh_token })).body.data
    const second = await refresh(ada.refresh_token)
    await refresh(second.refresh_token)
    await api.post(`${auth}/refresh`, { refresh_token: ada.refresh_token })
    await api.account()

    const happened = await run("email = 'ada@example.com'")
    expect(happened.map(({ event }) => event)).toEqual([
      'session.refresh_reuse',
      ...Array<string>(3).fill('login.failed'),
      'account.registered',
    ])
    const user = await api.database.query().selectFrom('users').select('public_id').orderBy('id').executeTakeFirst()
    expect(await run("event = 'login.failed'")).toEqual([{ user_public_id: user!.public_id, failures: 3 }])
    const stolen = await run("event = 'session.refresh_reuse'")
    expect(stolen.map(({ event, session_public_id }) => [event, session_public_id])).toEqual([
      ['account.registered', idOf(ada)],
      ['session.refresh_reuse', idOf(ada)],
    ])
  })

  test('the statement for a leaked key ends every session, and leaves the rest able to go on', async () => {
    const { email, password, access_token: token } = await api.account()
    await run('update sessions')
    expect((await api.get('/api/v1/users/me', { token })).status).toBe(401)
    expect((await api.post(`${auth}/login`, { email, password })).status).toBe(200)
  })
})

const project = useProject()

test('the command for new keys prints what is accepted, others each time, and writes no file', async () => {
  const [first, second] = await Promise.all([project.app(['keys', 'generate']), project.app(['keys', 'generate'])])
  const keys = [first, second].map(({ output }) => parseEnv(output))
  for (const made of keys) {
    expect(Object.keys(made).toSorted()).toEqual([
      'ENCRYPTION_KEY',
      'JWT_SECRET_KEY',
      'POSTGRES_PASSWORD',
      'SECRET_KEY',
    ])
    // Long enough for every algorithm.
    expect(readConfig({ ...made, JWT_ALGORITHM: 'HS512' })).toMatchObject({ SECRET_KEY: made['SECRET_KEY'] })
  }
  expect(new Set(keys.flatMap((made) => Object.values(made))).size).toBe(8)
  expect(readdirSync(project.folder)).not.toContain('.env')
})
