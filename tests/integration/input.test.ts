import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'

const vectors = join(import.meta.dirname, '../vectors')
const items = '/api/v1/items'
const logout = '/api/v1/auth/logout'
const mebibyte = 1024 * 1024

describe('a body', () => {
  const api = useApi('sqlite')
  const bodies = readdirSync(join(vectors, 'json')).filter((file) => file.endsWith('.json'))
  /** What each body of the JSON test suite with this prefix is answered: `file status code`. */
  async function answers(prefix: string): Promise<string[]> {
    const files = bodies.filter((file) => file.startsWith(prefix))
    const replies = await Promise.all(files.map((file) => api.post(logout, readFileSync(join(vectors, 'json', file)))))
    return replies.map(({ status, body }, index) => `${files[index]} ${status} ${body.code}`)
  }

  test('that is not JSON is 400, in each of the 188 ways', async () => {
    const given = await answers('n_')
    expect(given).toHaveLength(188)
    // An empty body is none at all: what it should hold is missing.
    expect(given.filter((answer) => !answer.endsWith(' 400 invalid_json'))).toEqual([
      'n_structure_no_data.json 400 validation_error',
    ])
  })

  test('that is odd but sound JSON is understood, in each of the 95 ways', async () => {
    const given = await answers('y_')
    expect(given).toHaveLength(95)
    expect(given.filter((answer) => !answer.endsWith(' 400 validation_error'))).toEqual([])
  })

  test('that parsers may take or leave is 400 for one reason or the other', async () => {
    const given = await answers('i_')
    expect(given.filter((answer) => !/ 400 (invalid_json|validation_error)$/.test(answer))).toEqual([])
  })

  test.for(['[]', '[{"refresh_token":"x"}]', '"text"', '7', 'true', 'null', ''])(
    'that is no object is refused as a whole: %s',
    async (body) => {
      const reply = await api.post(logout, body)
      expect(reply.status).toBe(400)
      expect(reply.body).toMatchObject({ code: 'validation_error', errors: [{ field: 'body' }] })
    },
  )

  test.for(['__proto__', 'constructor', 'prototype', 'toString'])('with the key %s is refused', async (key) => {
    const { status, body } = await api.post(logout, `{"refresh_token":"x","${key}":{"polluted":true}}`)
    expect(status).toBe(400)
    expect(body.errors).toEqual([{ field: key, message: 'is not a known field' }])
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('that is nested half a million deep is refused', async () => {
    const half = mebibyte / 2 - 100
    const deep = '['.repeat(half) + ']'.repeat(half)
    expect(await api.post(logout, deep)).toMatchObject({ status: 400, body: { code: 'validation_error' } })
    const inside = await api.post(logout, `{"refresh_token":${deep}}`)
    expect(inside.body.errors).toEqual([{ field: 'refresh_token', message: 'must be a string' }])
  })

  test('of 1 MiB is read, and a longer one is 413, whether or not it tells its length', async () => {
    const body = (length: number) => `{"refresh_token":"${'x'.repeat(length - 20)}"}`
    expect((await api.post(logout, body(mebibyte))).status).toBe(200)
    const tooLong = await api.post(logout, body(mebibyte + 1))
    expect(tooLong).toMatchObject({ status: 413, body: { code: 'payload_too_large' } })
    const chunked = await fetch(api.address + logout, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([body(mebibyte + 1)]).stream(),
      duplex: 'half',
    })
    expect(chunked.status).toBe(413)
    expect(await chunked.json()).toMatchObject({ code: 'payload_too_large' })
  })

  test.for([
    { 'content-type': '' },
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'multipart/form-data; boundary=x' },
    { 'content-type': 'application/json-seq' },
    { 'content-type': 'nonsense' },
    { 'content-encoding': 'gzip' },
    { 'content-encoding': 'br, identity' },
  ])('that is not plain JSON is 415: %j', async (headers) => {
    const { status, body } = await api.post(logout, { refresh_token: 'x' }, { headers: headers as never })
    expect(status).toBe(415)
    expect(body.code).toBe('unsupported_media_type')
  })

  test('that does not say what it is, is 415', async () => {
    const reply = await fetch(api.address + logout, { method: 'POST', body: Buffer.from('{"refresh_token":"x"}') })
    expect(reply.status).toBe(415)
  })

  test('says in any letter case, and with a charset, that it is JSON', async () => {
    for (const type of ['application/json; charset=utf-8', 'Application/JSON'])
      expect((await api.post(logout, { refresh_token: 'x' }, { headers: { 'content-type': type } })).status).toBe(200)
  })
})

describe('a path or a query', () => {
  const api = useApi('sqlite')

  test.for(['%00', '%ED%A0%80', '%FF', '%', '%ZZ', '..%2f', "'--", '1'])(
    'with an identifier that is none is 400: %s',
    async (id) => {
      expect((await api.get(`${items}/${id}`)).status).toBe(400)
    },
  )

  test('with an identifier longer than any is 400', async () => {
    expect((await api.get(`${items}/${'a'.repeat(2000)}`)).status).toBe(400)
  })

  test.for(['%00', 'a%00b', '%ED%A0%80', '%FF', '%', '%E0%A4'])(
    'with a value that is no text is 400: %s',
    async (value) => {
      const { status, body } = await api.get(`${items}/search?q=${value}`)
      expect(status).toBe(400)
      expect(body).toMatchObject({ code: 'validation_error', errors: [{ field: 'q' }] })
    },
  )

  test.for(['__proto__', 'constructor', 'hasOwnProperty', 'page%00', '%FF', ''])(
    'with an unknown parameter is 400: "%s"',
    async (name) => {
      const { status, body } = await api.get(`${items}?${name}=1`)
      expect(status).toBe(400)
      expect(body.code).toBe('validation_error')
    },
  )
})

onEachDatabase((kind) => {
  const api = useApi(kind)
  let token: string
  beforeAll(async () => {
    token = (await api.account()).access_token
  })

  test('every naughty string is kept to the letter, or is no name', async () => {
    const strings = JSON.parse(readFileSync(join(vectors, 'blns.json'), 'utf8')) as string[]
    expect(strings).toHaveLength(515)
    for (const text of strings) {
      const name = text.trim()
      const isName = name !== '' && [...name].length <= 100
      const named = await api.post(items, { name: text, description: text }, { token })
      expect(named.status).toBe(isName ? 201 : 400)
      const { status, body } = isName ? named : await api.post(items, { name: 'x', description: text }, { token })
      expect(status).toBe(201)
      expect(body.data).toMatchObject({ name: isName ? name : 'x', description: text })
    }
    const stored = await api.database.query().selectFrom('items').select('description').orderBy('id').execute()
    expect(stored.map(({ description }) => description)).toEqual(strings)
  })

  // Escaped in the JSON: NUL, and surrogates alone or in the wrong order.
  test.for([
    String.raw`a\u0000b`,
    String.raw`\u0000`,
    String.raw`\ud83e`,
    String.raw`\udd8a`,
    String.raw`\udd8a\ud83e`,
    String.raw`\ud83e x`,
  ])('what is no text is refused, in a name and in a description: %s', async (escaped) => {
    for (const field of ['name', 'description']) {
      const { status, body } = await api.post(items, `{"name":"x","${field}":"${escaped}"}`, { token })
      expect(status).toBe(400)
      expect(body).toMatchObject({ code: 'validation_error', errors: [{ field }] })
    }
  })

  test('a text that is not UTF-8 is refused, not mended', async () => {
    const { status, body } = await api.post(items, Buffer.from('{"name":"caf\xe9"}', 'latin1'), { token })
    expect(status).toBe(400)
    expect(body.code).toBe('invalid_json')
  })
})

describe('what no schema asks for', () => {
  const api = useApi('sqlite')

  test.for(['/health?a=1&a=2', '/health?a[]=1', `/api/v1/items/00000000-0000-4000-8000-000000000000?x[]=1`])(
    'is refused in a query: %s',
    async (path) => {
      const { status, body } = await api.get(path)
      expect(status).toBe(400)
      expect(body.errors).toEqual([{ field: expect.any(String), message: 'must be given once' }])
    },
  )

  test('is refused in a body where none is asked for', async () => {
    const { access_token: token } = await api.account()
    for (const stray of [{ x: 1 }, [1], 'text']) {
      expect((await api.post('/api/v1/auth/logout-all', JSON.stringify(stray), { token })).status).toBe(400)
    }
    expect((await api.post('/api/v1/auth/logout-all', {}, { token })).status).toBe(200)
  })

  test('is not echoed at length', async () => {
    const { text } = await api.post(logout, { ['x'.repeat(900_000)]: 1 })
    expect(text.length).toBeLessThan(1000)
  })
})
