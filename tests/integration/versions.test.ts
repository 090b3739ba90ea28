import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { createUserRepository } from '../../src/repositories/user.repository.ts'
import { useApi, type Account, type Reply } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'

const items = '/api/v1/items'
const profile = '/api/v1/users/me'
const etagOf = ({ headers }: Reply) => headers.get('etag')!
const versionOf = (etag: string) => Number(/\.(\d+)"$/.exec(etag)![1])
/** The tag of another version of the same. */
const shifted = (etag: string, by: number) => etag.replace(/\d+"$/, `${versionOf(etag) + by}"`)

onEachDatabase((kind) => {
  const api = useApi(kind)
  let owner: Account
  let token: string
  beforeAll(async () => {
    owner = await api.account()
    token = owner.access_token
  })

  async function create() {
    const made = await api.post(items, { name: 'A thing' }, { token })
    expect(made.status).toBe(201)
    return { path: made.headers.get('location')!, id: made.body.data.public_id as string, etag: etagOf(made) }
  }
  const change = (path: string, body: object, ifMatch: string, by = token) =>
    api.patch(path, body, { token: by, headers: { 'if-match': ifMatch } })
  const remove = (path: string, ifMatch: string, by = token) =>
    api.delete(path, { token: by, headers: { 'if-match': ifMatch } })
  const rowOf = (id: string) =>
    api.database.query().selectFrom('items').selectAll().where('public_id', '=', id).executeTakeFirstOrThrow()
  const rowOfUser = (email: string) =>
    api.database.query().selectFrom('users').selectAll().where('email', '=', email).executeTakeFirstOrThrow()

  describe('the tag', () => {
    test('of an item is strong, the same wherever it is shown, and new after each change', async () => {
      const { path, id, etag } = await create()
      expect(etag).toBe(`"${id}.1"`)
      expect(etagOf(await api.get(path))).toBe(etag)
      expect(etagOf(await api.request('HEAD', path))).toBe(etag)
      const changed = await api.patch(path, { name: 'Another' }, { token })
      expect(etagOf(changed)).toBe(`"${id}.2"`)
      expect(etagOf(await api.get(path))).toBe(etagOf(changed))
      expect(etagOf(await api.patch(path, {}, { token }))).toBe(etagOf(changed))
    })

    test('comes again with the answer that is given again', async () => {
      const headers = { 'idempotency-key': randomUUID() }
      const [made, again] = [
        await api.post(items, { name: 'Once' }, { token, headers }),
        await api.post(items, { name: 'Once' }, { token, headers }),
      ]
      expect([again.status, again.text, etagOf(again)]).toEqual([201, made.text, etagOf(made)])
      expect(again.text).not.toContain('version')
    })

    test('of a profile changes with it, not with a sign-in', async () => {
      const account = await api.account()
      const read = () => api.get(profile, { token: account.access_token })
      const before = etagOf(await read())
      const { email, password } = account
      expect((await api.post('/api/v1/auth/login', { email, password })).status).toBe(200)
      expect(etagOf(await read())).toBe(before)
      const changed = await api.patch(profile, { first_name: 'Augusta' }, { token: account.access_token })
      expect(etagOf(changed)).toBe(shifted(before, 1))
      await createUserRepository(api.database).verify((await rowOfUser(email)).id)
      expect(etagOf(await read())).toBe(shifted(before, 2))
    })

    test('of one profile is not that of another, though both have one address', async () => {
      const [one, other] = [await api.account(), await api.account()]
      const etag = etagOf(await api.get(profile, { token: one.access_token }))
      expect(etagOf(await api.get(profile, { token: other.access_token }))).not.toBe(etag)
      const headers = { 'if-none-match': etag }
      expect((await api.get(profile, { token: other.access_token, headers })).status).toBe(200)
      expect((await change(profile, { first_name: 'Eve' }, etag, other.access_token)).status).toBe(412)
    })

    test('is in no body, and lists and refusals have none', async () => {
      const { path } = await create()
      const replies = [await api.get(items), await api.get(`${items}/search?q=thing`), await api.get(path)]
      for (const { text } of replies) expect(text).not.toContain('version')
      expect((await api.get(profile, { token })).text).not.toContain('version')
      for (const list of replies.slice(0, 2)) expect(list.headers.has('etag')).toBe(false)
      expect((await change(path, { name: 'x' }, '"stale"')).headers.has('etag')).toBe(false)
    })
  })

  describe('If-None-Match', () => {
    /** Reads an item whose tag stands for $ in the header. */
    async function read(header: string, method = 'GET') {
      const { path, etag } = await create()
      const reply = await api.request(method, path, { headers: { 'if-none-match': header.replace('$', etag) } })
      return { ...reply, etag }
    }

    test.for(['$', 'W/$', '*', ' * ', '"other", $', '$ , W/"other"', ',,$,', '"a,b",$'])(
      'that names what is there, %s, is 304 without a body',
      async (header) => {
        for (const method of ['GET', 'HEAD']) {
          const { status, headers, text, etag } = await read(header, method)
          expect([status, text, headers.get('etag')]).toEqual([304, '', etag])
          expect(headers.get('content-type')).toBeNull()
          expect(headers.get('cache-control')).toBe('no-store')
          expect(headers.get('x-request-id')).not.toBeNull()
          expect(headers.get('content-length')).not.toBe('0')
        }
      },
    )

    test.for(['', '"other"', 'W/"other"', '"*"', '*, "other"', 'w/$', 'W/ $', '"$"', '$$', '"W/$'])(
      'that names something else, %s, is answered with what is there',
      async (header) => {
        const { status, body, etag } = await read(header)
        expect([status, body.data.name]).toEqual([200, 'A thing'])
        expect((await read(header, 'HEAD')).status).toBe(200)
        expect(etag).toMatch(/^"/)
      },
    )

    test('counts for a profile, and no longer once it was changed', async () => {
      const etag = etagOf(await api.get(profile, { token }))
      const again = () => api.get(profile, { token, headers: { 'if-none-match': etag } })
      expect((await again()).status).toBe(304)
      await api.patch(profile, { last_name: 'King' }, { token })
      expect((await again()).status).toBe(200)
    })

    test('says nothing of what is gone, or to those who may not read', async () => {
      const { path, etag } = await create()
      const headers = { 'if-none-match': `${etag}, *` }
      expect((await api.get(path, { headers, token: 'bad' })).status).toBe(401)
      expect((await api.get(profile, { headers: { 'if-none-match': '*' } })).status).toBe(401)
      await api.delete(path, { token })
      expect((await api.get(path, { headers: { 'if-none-match': '*' } })).status).toBe(404)
    })
  })

  describe('If-Match', () => {
    test('lets a change through that starts from what is there, and the same one no second time', async () => {
      const { path, id, etag } = await create()
      const changed = await change(path, { name: 'First' }, etag)
      expect([changed.status, etagOf(changed)]).toEqual([200, shifted(etag, 1)])
      const before = await rowOf(id)
      const stale = await change(path, { name: 'Second' }, etag)
      expect([stale.status, stale.body.code]).toEqual([412, 'precondition_failed'])
      expect((await remove(path, etag)).status).toBe(412)
      expect(await rowOf(id)).toEqual(before)
      expect((await remove(path, etagOf(changed))).status).toBe(200)
      expect((await rowOf(id)).version).toBe(3)
    })

    test('guards a profile too', async () => {
      const etag = etagOf(await api.get(profile, { token }))
      expect((await change(profile, { first_name: 'Augusta' }, etag)).status).toBe(200)
      for (const stale of [etag, '', `${etag}, "other"`]) {
        expect((await change(profile, { first_name: 'Eve' }, stale)).body.code).toBe('precondition_failed')
        expect((await change(profile, {}, stale)).body.code).toBe('precondition_failed')
      }
      const now = await api.get(profile, { token, headers: { 'if-none-match': shifted(etag, 1) } })
      expect(now.status).toBe(304)
      expect((await change(profile, { first_name: 'Ada' }, `${etag}, ${shifted(etag, 1)}`)).status).toBe(200)
      expect((await change(profile, {}, '*')).body.data.first_name).toBe('Ada')
    })

    test.for(['$', '*', ' * ', '"other", $', '$ , W/"other"', ',,$,', '"a,b",$'])(
      'that names what is there is met: %s',
      async (header) => {
        const { path, etag } = await create()
        const named = header.replace('$', etag)
        expect((await change(path, {}, named)).status).toBe(200)
        const changed = await change(path, { priority: 2 }, named)
        expect([changed.status, etagOf(changed)]).toEqual([200, shifted(etag, 1)])
        const again = header.includes('*') ? 200 : 412
        expect((await remove(path, named)).status).toBe(again)
      },
    )

    const strangers = [
      '',
      '"other"',
      'W/$',
      'w/$',
      '"W/$',
      '"*"',
      '*, "other"',
      'W/$, "other"',
      "'$'",
      '"$"',
      '1',
      '"1"',
      ',',
    ]
    /** The number of a version, as nobody writes it or as no column holds it. */
    const numbers = [
      '0',
      '-1',
      '+1',
      '01',
      '1.0',
      '1e0',
      ' 1',
      '',
      'x',
      'NaN',
      'Infinity',
      '2147483648',
      '9'.repeat(400),
    ]
    test.for([...strangers, ...numbers.map((number) => `"#.${number}"`), `"${randomUUID()}.1"`, '#.1'])(
      'that is no tag of what is there is not met: %s',
      async (header) => {
        const { path, id, etag } = await create()
        const before = await rowOf(id)
        const named = header.replace('$', etag).replace('#', id)
        for (const reply of [
          await change(path, { priority: 2 }, named),
          await change(path, {}, named),
          await remove(path, named),
        ])
          expect([reply.status, reply.body.code]).toEqual([412, 'precondition_failed'])
        expect(await rowOf(id)).toEqual(before)
      },
    )

    test('of several tags the present one counts', async () => {
      const { path, etag } = await create()
      const both = `${shifted(etag, 1)}, ${etag}`
      expect((await change(path, { priority: 2 }, both)).status).toBe(200)
      expect((await change(path, { priority: 3 }, both)).status).toBe(200)
      expect((await change(path, { priority: 4 }, both)).status).toBe(412)
      expect((await remove(path, both)).status).toBe(412)
      expect((await api.get(path)).body.data.priority).toBe(3)
    })

    test('is asked after everything else that may be wrong (RFC 9110 §13.2.1)', async () => {
      const { path, etag } = await create()
      const stranger = (await api.account()).access_token
      const gone = `${items}/${randomUUID()}`
      for (const named of ['"stale"', '', `"stale", ${shifted(etag, 1)}`, etag]) {
        const headers = { 'if-match': named }
        expect((await change(path, { priority: 9 }, named)).status).toBe(400)
        expect((await api.patch(path, { priority: 2 }, { headers })).status).toBe(401)
        for (const body of [{ priority: 2 }, {}]) {
          expect((await change(path, body, named, stranger)).status).toBe(403)
          expect((await change(gone, body, named)).status).toBe(404)
        }
        expect((await remove(path, named, stranger)).status).toBe(403)
        expect((await remove(gone, named)).status).toBe(404)
      }
      for (const named of [etag, '*']) expect((await change(gone, { priority: 2 }, named)).status).toBe(404)
      expect(etagOf(await api.get(path))).toBe(etag)
    })

    test('binds holders of a permission as well', async () => {
      const admin = await api.account()
      await api.promote(admin.email, 'admin')
      const { path, etag } = await create()
      expect((await change(path, { priority: 2 }, shifted(etag, 1), admin.access_token)).status).toBe(412)
      expect((await remove(path, shifted(etag, 1), admin.access_token)).status).toBe(412)
      expect((await change(path, { priority: 2 }, etag, admin.access_token)).status).toBe(200)
    })

    // With several tags the present version is looked up first; the statement decides all the same.
    test.for(['$', '#, $'])('lets exactly one of many through that start from the same version: %s', async (header) => {
      const { path, id, etag } = await create()
      const named = header.replace('$', etag).replace('#', shifted(etag, 9))
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, n) => change(path, { name: `Wish ${n}` }, named)),
      )
      const won = replies.filter(({ status }) => status === 200)
      expect(won).toHaveLength(1)
      expect(replies.filter(({ status }) => status === 412)).toHaveLength(39)
      expect(await rowOf(id)).toMatchObject({ version: 2, name: won[0]!.body.data.name })
    })

    test('lets exactly one of many changes and deletes through', async () => {
      const { path, id, etag } = await create()
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? change(path, { priority: 2 }, etag) : remove(path, etag))),
      )
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
      expect((await rowOf(id)).version).toBe(2)
    })

    test('lets exactly one of many changes of a profile through', async () => {
      const { access_token } = await api.account()
      const etag = etagOf(await api.get(profile, { token: access_token }))
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, n) => change(profile, { first_name: `Ada ${n}` }, etag, access_token)),
      )
      expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
      expect(etagOf(await api.get(profile, { token: access_token }))).toBe(shifted(etag, 1))
    })

    test('lets a counter be kept by many who read, add one and try again', async () => {
      const { path, id } = await create()
      const clients = 8
      const add = async () => {
        for (;;) {
          const read = await api.get(path)
          const count = Number(read.body.data.description ?? 0)
          if ((await change(path, { description: String(count + 1) }, etagOf(read))).status === 200) return
        }
      }
      await Promise.all(Array.from({ length: clients }, add))
      expect(await rowOf(id)).toMatchObject({ description: String(clients), version: 1 + clients })
    })
  })

  test('every change makes a greater version, and nothing else does', async () => {
    const { restore } = createItemRepository(api.database)
    const steps = fc.oneof(
      fc.record({ step: fc.constant('change'), behind: fc.nat(2) }),
      fc.record({ step: fc.constantFrom('touch', 'remove', 'restore'), behind: fc.constant(0) }),
    )
    const history = fc.asyncProperty(fc.array(steps, { maxLength: 12 }), async (told) => {
      const { path, id, etag } = await create()
      const make: Record<string, (behind: number, version: number) => Promise<boolean>> = {
        change: async (behind, version) =>
          (await change(path, { priority: 2 }, shifted(etag, version - 1 - behind))).status === 200,
        // Nothing to change: the row below tells that nothing was.
        touch: async () => (await api.patch(path, {}, { token })).status > 404,
        remove: async () => (await api.delete(path, { token })).status === 200,
        restore: () => restore(id),
      }
      let [version, removed] = [1, false]
      for (const { step, behind } of told) {
        const possible = step !== 'touch' && behind === 0 && removed === (step === 'restore')
        expect(await make[step]!(behind, version)).toBe(possible)
        if (possible) [version, removed] = [version + 1, step === 'remove']
        expect(await rowOf(id)).toMatchObject({ version, is_deleted: removed })
      }
    })
    await fc.assert(history, { numRuns: 30 })
  })
})

const documented = useApi('sqlite')

test('the document names the headers and the statuses of exactly these operations', async () => {
  const { paths } = (await documented.get('/api/docs/openapi.json')).body as {
    paths: Record<string, Record<string, { operationId: string; parameters: object[]; responses: object }>>
  }
  const told = Object.values(paths)
    .flatMap((operations) => Object.values(operations))
    .map(({ operationId, parameters, responses }) => {
      const text = JSON.stringify([parameters, responses])
      const names = ['IfMatch', 'IfNoneMatch', 'headers/ETag', '"304"', '"412"'].filter((name) => text.includes(name))
      return [operationId, names.join(' ')] as const
    })
    .filter(([, names]) => names !== '')
  expect(Object.fromEntries(told)).toEqual({
    getProfile: 'IfNoneMatch headers/ETag "304"',
    updateProfile: 'IfMatch headers/ETag "412"',
    createItem: 'headers/ETag',
    getItem: 'IfNoneMatch headers/ETag "304"',
    updateItem: 'IfMatch headers/ETag "412"',
    deleteItem: 'IfMatch "412"',
  })
})
