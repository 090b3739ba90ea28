import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { Api } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { countItems } from '../support/items.ts'
import { lockTables } from '../support/lock.ts'

onEachDatabase((kind) => {
  const api = new Api()
  let url: string
  beforeAll(async () => {
    url = await freshDatabase(kind)
    await api.start(kind, { DATABASE_URL: url, REQUEST_TIMEOUT_SECONDS: '1' })
  })
  afterAll(() => api.stop())

  test('a request that has no answer in time ends in 503, and what comes late is nobody’s', async () => {
    const { access_token: token } = await api.account()
    const release = await lockTables(url, ['items', 'users'])
    const { status, headers, body } = await api.post('/api/v1/items', { name: 'late' }, { token })
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'unavailable' })
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    await release()
    // What was begun goes on, and leaves no complaint.
    await vi.waitFor(async () => expect(await countItems(api.database)).toBe(1))
    const refused = await api.post('/api/v1/items', { name: '' }, { token })
    expect(refused.status).toBe(400)
    const told = api.log.filter(({ level }) => level !== 'info').map(({ msg }) => msg)
    expect(told).toEqual(['The request took too long'])
  })

  test('what came late under an Idempotency-Key is the answer to who asks again', async () => {
    const { access_token: token, email, password: old_password } = await api.account()
    const body = { old_password, new_password: 'another horse battery' }
    const change = () => api.post('/api/v1/users/me/password', body, { token, headers: { 'idempotency-key': 'once' } })
    const release = await lockTables(url, ['items', 'users'])
    expect((await change()).status).toBe(503)
    await release()
    const again = await vi.waitFor(async () => {
      const answer = await change()
      expect(answer.status).not.toBe(409)
      return answer
    })
    expect(again.status).toBe(200)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect((await api.post('/api/v1/auth/login', { email, password: body.new_password })).status).toBe(200)
  })

  test('an answer that has begun goes on for longer', async () => {
    const { access_token: token } = await api.account()
    const items = createItemRepository(api.database)
    // More than the buffers between the two hold, so that the end waits for a client that reads late.
    await api.database.transaction(async () => {
      for (let item = 0; item < 4000; item++) await items.add({ name: 'Long', description: 'x'.repeat(2000) })
    })
    const headers = { authorization: `Bearer ${token}` }
    const [answer] = (await once(get(`${api.address}/api/v1/items/export`, { headers }), 'response')) as [
      IncomingMessage,
    ]
    await sleep(2500)
    let text = ''
    for await (const part of answer.setEncoding('utf8')) text += part as string
    expect(text.match(/"name":"Long"/g)).toHaveLength(4000)
  })
})
