import { describe, expect, test } from 'vitest'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'

onEachDatabase((kind) => {
  const api = useApi(kind)

  test('an item goes round', async () => {
    const { access_token: token } = await api.account()
    const created = await api.post('/api/v1/items', { name: '  Änd%rung_ ' }, { token })
    expect(created.status).toBe(201)
    console.log(created.body)
    expect((await api.get(created.headers.get('location')!)).body.data).toEqual(created.body.data)
    for (const q of ['änd', 'ÄND%', '%R', '_', '\\', 'x'])
      console.log(q, (await api.get(`/api/v1/items/search?q=${encodeURIComponent(q)}`)).body.data.count)
    console.log((await api.get('/api/v1/items')).text)
    console.log((await api.post('/api/v1/items', { name: '', x: 1 }, { token })).text)
  })
  test('refresh', async () => {
    const a = await api.account()
    const r = await Promise.all(
      Array.from({ length: 20 }, () => api.post('/api/v1/auth/refresh', { refresh_token: a.refresh_token })),
    )
    console.log(new Set(r.map((x) => x.status)), new Set(r.map((x) => x.body.data?.refresh_token)).size)
  })
})
