import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { AppError } from '../../src/core/errors.ts'
import { parseJson, parseQuery, requestId } from '../../src/core/http/requests.ts'

describe('a request id', () => {
  const given = (value?: string | string[]) =>
    requestId({ headers: { 'x-request-id': value } as object } as IncomingMessage)

  test.for(['a', 'A-b_c.d:9', 'x'.repeat(128)])('is taken when it is well formed: %s', (id) => {
    expect(given(id)).toBe(id)
  })

  test.for([undefined, '', ' ', 'a b', 'a\n', 'a\r\nset-cookie: b', 'é', 'x'.repeat(129), ['a', 'b']])(
    'is made otherwise: %j',
    (id) => {
      expect(given(id)).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
      expect(given(id)).not.toBe(given(id))
    },
  )
})

describe('a query', () => {
  test.for<[string, Record<string, string | string[]>]>([
    ['', {}],
    ['&&', {}],
    ['a=1&b=2', { a: '1', b: '2' }],
    ['a=1&a=2&a=3', { a: ['1', '2', '3'] }],
    ['a', { a: '' }],
    ['=1', { '': '1' }],
    ['a=b=c', { a: 'b=c' }],
    ['q=a+b%2Bc%20d', { q: 'a b+c d' }],
    ['q=%C3%84%F0%9F%A6%8A', { q: 'Ä🦊' }],
    ['page%5B%5D=1', { 'page[]': '1' }],
    ['q=%00', { q: '\0' }],
  ])('%s is read as %j', ([query, parameters]) => {
    expect({ ...parseQuery(query) }).toEqual(parameters)
  })

  test.for(['%FF', '%ED%A0%80', '%', '%2', '%GG', 'ok%E2%82'])('with %s in it holds no text there', (value) => {
    expect((parseQuery(`q=${value}`)['q'] as string).isWellFormed()).toBe(false)
  })

  test('cannot reach the prototype', () => {
    const parameters = parseQuery('__proto__=1&constructor=2&toString=3')
    expect(Object.keys(parameters)).toEqual(['__proto__', 'constructor', 'toString'])
    expect(Object.getPrototypeOf(parameters)).toBeNull()
  })
})

describe('a JSON body', () => {
  const read = (body: string | Buffer) =>
    new Promise((resolve, reject) => {
      void parseJson({} as FastifyRequest, Buffer.from(body as string), (error, value) =>
        error ? reject(error) : resolve(value),
      )
    })

  test('is parsed; an empty one is none', async () => {
    expect(await read('{"a":[1,null,"🦊"]}')).toEqual({ a: [1, null, '🦊'] })
    expect(await read('')).toBeUndefined()
  })

  test.for([
    ['broken JSON', '{'],
    ['a comment', '{} // no'],
    ['bytes that are not UTF-8', Buffer.from('"caf\xe9"', 'latin1')],
    ['an overlong form', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a byte order mark', '\ufeff{}'],
    ['UTF-16', Buffer.from('{}', 'utf16le')],
  ] as const)('with %s is refused', async ([, body]) => {
    const refusal = await read(body).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(AppError)
    expect(refusal).toMatchObject({ code: 'invalid_json' })
  })
})
