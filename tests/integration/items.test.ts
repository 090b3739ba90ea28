import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'

const path = '/api/v1/items'
const uuid = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const longAgo = '2020-01-01T00:00:00.000Z'
/** One character to a person, one code point, two UTF-16 units. */
const fox = '🦊'

onEachDatabase((kind) => {
  const api = useApi(kind)
  let token: string
  let userId: string
  beforeAll(async () => {
    token = (await api.account()).access_token
    userId = (await api.get('/api/v1/users/me', { token })).body.data.public_id
  })
  beforeEach(async () => {
    await api.database.query().deleteFrom('items').execute()
  })

  const create = async (fields: object = {}) => {
    const { status, body } = await api.post(path, { name: 'A thing', ...fields }, { token })
    expect(status).toBe(201)
    return body.data
  }
  const rowOf = (publicId: string) =>
    api.database.query().selectFrom('items').selectAll().where('public_id', '=', publicId).executeTakeFirstOrThrow()
  const storedItems = () => api.database.query().selectFrom('items').selectAll().execute()

  describe('creating', () => {
    test('an item needs only a name, and the rest has defaults', async () => {
      const { status, headers, body } = await api.post(path, { name: 'A thing' }, { token })
      expect(status).toBe(201)
      expect(headers.get('location')).toBe(`${path}/${body.data.public_id}`)
      expect(body.data).toEqual({
        public_id: expect.stringMatching(uuid),
        name: 'A thing',
        description: null,
        status: 'draft',
        priority: 1,
        owner_id: userId,
        created_at: expect.stringMatching(time),
        updated_at: body.data.created_at,
      })
      expect((await api.get(headers.get('location')!)).body.data).toEqual(body.data)
      expect(await rowOf(body.data.public_id)).toMatchObject({ name: 'A thing', deleted_at: null, is_deleted: false })
    })

    test('white space around the name is cut off, around the description it is kept', async () => {
      const item = await create({ name: '\t A thing \n', description: '  two  \n', status: 'archived', priority: 5 })
      expect(item).toMatchObject({ name: 'A thing', description: '  two  \n', status: 'archived', priority: 5 })
      expect(await rowOf(item.public_id)).toMatchObject({ name: 'A thing', description: '  two  \n' })
    })

    test('lengths are counted in characters, whatever their size in memory', async () => {
      const longest = { name: fox.repeat(100), description: fox.repeat(10_000) }
      expect(await create(longest)).toMatchObject(longest)
      expect(await create({ name: 'x', description: '' })).toMatchObject({ name: 'x', description: '' })
    })

    test.for<[string, unknown]>([
      ['name', undefined],
      ['name', null],
      ['name', 7],
      ['name', ''],
      ['name', ' \t\n '],
      ['name', 'x'.repeat(101)],
      ['name', fox.repeat(101)],
      ['description', 7],
      ['description', 'x'.repeat(10_001)],
      ['description', fox.repeat(10_001)],
      ['status', 'lost'],
      ['status', 'DRAFT'],
      ['status', null],
      ['priority', 0],
      ['priority', 6],
      ['priority', 1.5],
      ['priority', '3'],
      ['priority', true],
      ['priority', null],
      ['owner_id', '00000000-0000-4000-8000-000000000000'],
      ['public_id', '00000000-0000-4000-8000-000000000000'],
      ['is_deleted', true],
      ['colour', 'red'],
    ])('a bad %s is refused, and nothing is stored: %j', async ([field, value]) => {
      const { status, body } = await api.post(path, { name: 'A thing', [field]: value }, { token })
      expect(status).toBe(400)
      expect(body).toMatchObject({ code: 'validation_error', errors: [{ field }] })
      expect(await storedItems()).toEqual([])
    })
  })

  describe('changing', () => {
    test.for([{ name: 'Another' }, { description: 'now there is one' }, { status: 'active' }, { priority: 4 }])(
      'only what is sent changes: %j',
      async (change) => {
        const item = await create({ description: 'old' })
        const changed = (await api.patch(`${path}/${item.public_id}`, change, { token })).body.data
        expect(changed).toEqual({ ...item, ...change, updated_at: changed.updated_at })
        expect((await api.get(`${path}/${item.public_id}`)).body.data).toEqual(changed)
        expect(await rowOf(item.public_id)).toMatchObject(change)
      },
    )

    test('a description can be taken away', async () => {
      const item = await create({ description: 'old' })
      const { body } = await api.patch(`${path}/${item.public_id}`, { description: null }, { token })
      expect(body.data.description).toBeNull()
    })

    test('a change moves updated_at and leaves created_at', async () => {
      const { public_id } = await create()
      await api.database.query().updateTable('items').set({ created_at: longAgo, updated_at: longAgo }).execute()
      const { body } = await api.patch(`${path}/${public_id}`, { name: 'Another' }, { token })
      expect(body.data.created_at).toBe(longAgo)
      expect(Date.parse(body.data.updated_at)).toBeGreaterThan(Date.parse(longAgo))
    })

    test('an empty change changes nothing, not even updated_at', async () => {
      const { public_id } = await create()
      await api.database.query().updateTable('items').set({ updated_at: longAgo }).execute()
      const before = await rowOf(public_id)
      const { status, body } = await api.patch(`${path}/${public_id}`, {}, { token })
      expect(status).toBe(200)
      expect(body.data.updated_at).toBe(longAgo)
      expect(await rowOf(public_id)).toEqual(before)
    })

    test.for([{ name: null }, { name: '  ' }, { status: null }, { priority: '3' }, { owner_id: null }])(
      'a bad change is refused whole: %j',
      async (fault) => {
        const { public_id } = await create()
        const before = await rowOf(public_id)
        const { status, body } = await api.patch(`${path}/${public_id}`, { description: 'good', ...fault }, { token })
        expect(status).toBe(400)
        expect(body.errors).toEqual([{ field: Object.keys(fault)[0], message: expect.any(String) }])
        expect(await rowOf(public_id)).toEqual(before)
      },
    )
  })

  describe('deleting', () => {
    test('a deleted item cannot be read, changed or deleted again, and its row is kept', async () => {
      const { public_id } = await create()
      const { status, body } = await api.delete(`${path}/${public_id}`, { token })
      expect(status).toBe(200)
      expect(body.data).toEqual({ message: expect.any(String) })

      expect((await api.get(`${path}/${public_id}`)).status).toBe(404)
      expect((await api.patch(`${path}/${public_id}`, { name: 'Another' }, { token })).status).toBe(404)
      expect((await api.patch(`${path}/${public_id}`, {}, { token })).status).toBe(404)
      expect((await api.delete(`${path}/${public_id}`, { token })).status).toBe(404)
      expect((await api.get(path)).body.data).toMatchObject({ items: [], pagination: { total: 0 } })
      expect(await rowOf(public_id)).toMatchObject({
        name: 'A thing',
        is_deleted: true,
        deleted_at: expect.stringMatching(time),
      })
    })

    test('a restored item can be read again, and only a deleted one can be restored', async () => {
      const items = createItemRepository(api.database)
      const { public_id } = await create()
      expect(await items.restore(public_id)).toBe(false)
      await api.delete(`${path}/${public_id}`, { token })
      expect(await items.restore(public_id)).toBe(true)
      expect((await api.get(`${path}/${public_id}`)).status).toBe(200)
      expect(await rowOf(public_id)).toMatchObject({ is_deleted: false, deleted_at: null })
    })

    test('of fifty deletes of one item at once, one succeeds', async () => {
      const { public_id } = await create()
      const replies = await Promise.all(Array.from({ length: 50 }, () => api.delete(`${path}/${public_id}`, { token })))
      const statuses = replies.map(({ status }) => status)
      expect(statuses.filter((status) => status === 200)).toHaveLength(1)
      expect(statuses.filter((status) => status === 404)).toHaveLength(49)
    })
  })
})
