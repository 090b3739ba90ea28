import { afterAll, beforeAll, expect, test } from 'vitest'
import { Api } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { lockTables } from '../support/lock.ts'
import { rowOf } from '../support/sessions.ts'

onEachDatabase((kind) => {
  const api = new Api()
  let url: string
  beforeAll(async () => {
    url = await freshDatabase(kind)
    await api.start(kind, { DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: '1' })
  })
  afterAll(() => api.stop())

  test('while nothing can be written, a token that was just refreshed can read; it is confirmed later', async () => {
    const account = await api.account()
    const { body } = await api.post('/api/v1/auth/refresh', { refresh_token: account.refresh_token })
    const token = body.data.access_token
    const release = await lockTables(url, ['sessions'])
    expect((await api.get('/api/v1/users/me', { token })).status).toBe(200)
    await release()
    expect((await api.get('/api/v1/users/me', { token })).status).toBe(200)
    expect(await rowOf(api, account)).toMatchObject({ gen: 1, confirmed_gen: 1 })
  })
})
