import { DatabaseSync } from 'node:sqlite'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Api } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { rowOf } from '../support/sessions.ts'

onEachDatabase((kind) => {
  const api = new Api()
  let url: string
  beforeAll(async () => {
    url = await freshDatabase(kind)
    await api.start(kind, { DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: '1' })
  })
  afterAll(() => api.stop())

  /** Lets nobody write into the sessions until it is called again. */
  async function holdSessions(): Promise<() => Promise<void>> {
    if (kind === 'sqlite') {
      const holder = new DatabaseSync(url.slice('sqlite:///'.length))
      holder.exec('begin immediate')
      return async () => holder.close()
    }
    const holder = new pg.Client(url)
    await holder.connect()
    await holder.query('begin')
    await holder.query('lock table sessions in share row exclusive mode')
    return () => holder.end()
  }

  test('while nothing can be written, a token that was just refreshed can read; it is confirmed later', async () => {
    const account = await api.account()
    const { body } = await api.post('/api/v1/auth/refresh', { refresh_token: account.refresh_token })
    const token = body.data.access_token
    const release = await holdSessions()
    expect((await api.get('/api/v1/users/me', { token })).status).toBe(200)
    await release()
    expect((await api.get('/api/v1/users/me', { token })).status).toBe(200)
    expect(await rowOf(api, account)).toMatchObject({ gen: 1, confirmed_gen: 1 })
  })
})
