import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'

const path = '/api/v1/items/export'
const day = (n: number) => new Date(Date.UTC(2026, 0, n)).toISOString()

onEachDatabase((kind) => {
  const api = useApi(kind)
  let token = ''
  const add = (count: number, fields: object = {}) =>
    insertItems(
      api.database,
      Array.from({ length: count }, (_, n) => ({ name: `item ${n}`, created_at: day(n + 1), ...fields })),
    )
  const exported = async (query = '') => (await api.get(`${path}?${query}`, { token })).body

  beforeEach(async () => {
    await api.database.query().deleteFrom('items').execute()
    token = (await api.account()).access_token
  })

  /** Asks for an export and reads nothing of it yet. */
  async function ask(): Promise<IncomingMessage> {
    const request = get(api.address + path, { agent: false, headers: { authorization: `Bearer ${token}` } })
    request.on('error', () => {})
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return response
  }

  test('holds every live item once, oldest first, over many chunks, as the API shows it', async () => {
    await add(901)
    await add(1, { name: 'deleted', deleted_at: day(1) })
    const reply = await api.get(path, { token })
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('application/x-ndjson')
    expect(reply.headers.get('cache-control')).toBe('no-store')
    const names = reply.body.map(({ name }: { name: string }) => name)
    expect(names).toEqual(Array.from({ length: 901 }, (_, n) => `item ${n}`))
    const [first] = reply.body
    expect(first).toEqual((await api.get(`/api/v1/items/${first.public_id}`)).body.data)
  })

  test('holds each of many that were made at the same time', async () => {
    await add(450, { created_at: day(1) })
    const ids = (await exported()).map(({ public_id }: { public_id: string }) => public_id)
    expect(new Set(ids).size).toBe(450)
  })

  test('can be narrowed as a list can, and may be empty', async () => {
    await add(3, { status: 'active' })
    await add(2, { status: 'draft', priority: 4 })
    expect(await exported('status=active')).toHaveLength(3)
    expect(await exported('status=draft&priority=4')).toHaveLength(2)
    expect(await exported(`created_after=${day(1)}`)).toHaveLength(3)
    expect(await exported('status=archived')).toEqual([])
    const { status, body } = await api.get(`${path}?page=1`, { token })
    expect([status, body.errors[0].field]).toEqual([400, 'page'])
  })

  test('tells its headers to who asks for no more', async () => {
    const { status, headers, text } = await api.request('HEAD', path, { token })
    expect([status, headers.get('content-type'), text]).toEqual([200, 'application/x-ndjson', ''])
    expect((await api.request('HEAD', path)).status).toBe(401)
  })

  test('is for those who sign in', async () => {
    expect((await api.get(path)).status).toBe(401)
  })

  test('that cannot begin is an error like any other', async () => {
    const spy = vi.spyOn(api.services.items, 'export').mockImplementation(async function* () {
      yield await Promise.reject(new UnavailableError('The database is not available right now'))
    })
    const { status, headers, body } = await api.get(path, { token })
    expect([status, body.code, headers.get('content-type')]).toEqual([
      503,
      'unavailable',
      'application/json; charset=utf-8',
    ])
    spy.mockRestore()
  })

  describe('of more than the connection takes at once', () => {
    beforeEach(() => add(4000, { description: 'x'.repeat(9000) }))
    /** Watches how often the database is asked for items. */
    const watch = () => vi.spyOn(api.services.items, 'export')

    test('reads no further than the client does, and stops when it goes', async () => {
      let chunks = 0
      let ended = false
      const original = api.services.items.export
      const spy = watch().mockImplementation(async function* (filter) {
        try {
          for await (const rows of original(filter)) {
            chunks++
            yield rows
          }
        } finally {
          ended = true
        }
      })
      const response = await ask()
      await settled(() => chunks)
      // Of 20 chunks: what the connection's buffers hold, and a little more.
      const before = chunks
      expect(before).toBeLessThan(15)
      expect(ended).toBe(false)
      response.destroy()
      await vi.waitFor(() => expect(ended).toBe(true))
      expect(chunks - before).toBeLessThan(3)
      spy.mockRestore()
      // Whatever it held is given back.
      expect((await api.get('/health/ready')).status).toBe(200)
    })

    test('breaks off when the client takes nothing for a minute', async () => {
      const handled = once(api.app.server, 'request') as Promise<[IncomingMessage]>
      const response = await ask()
      const [{ socket }] = await handled
      // Shortened, so that the test need not wait for it.
      expect(socket.timeout).toBe(60_000)
      socket.setTimeout(100)
      const cut = once(socket, 'close')
      response.on('error', () => {})
      await cut
    })

    test('is refused while there are too many, and no longer', async () => {
      // More than may run, since one or another may be refused for the sake of a busy machine.
      const others = await Promise.all(Array.from({ length: 70 }, ask))
      expect(others.filter(({ statusCode }) => statusCode === 200).length).toBeLessThanOrEqual(50)
      const { status, body, headers } = await api.get(path, { token })
      expect([status, body.code, headers.get('retry-after')]).toEqual([503, 'unavailable', '10'])
      for (const other of others) other.destroy()
      await vi.waitFor(async () => expect((await ask()).destroy().statusCode).toBe(200))
    })

    test('breaks off when the database fails in the middle, so that nobody takes it for whole', async () => {
      const original = api.services.items.export
      const spy = watch().mockImplementation(async function* (filter) {
        for await (const rows of original(filter)) {
          yield rows
          throw new Error('in the middle')
        }
      })
      const response = await ask()
      const end = Promise.race([
        once(response, 'aborted').then(() => 'aborted'),
        once(response, 'end').then(() => 'end'),
      ])
      response.on('error', () => {})
      response.resume()
      expect(await end).toBe('aborted')
      spy.mockRestore()
    })
  })
})

/** Waits until a number stands still. */
async function settled(number: () => number): Promise<void> {
  for (let last = -1; last !== number();) {
    last = number()
    await sleep(200)
  }
}
