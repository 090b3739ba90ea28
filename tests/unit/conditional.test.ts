import fc from 'fast-check'
import fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { expectedVersions, spareUnchanged, tagged } from '../../src/core/http/conditional.ts'
import { anyString } from './arbitraries.ts'

const id = 'f47ac10b-58cc-4372-a567-0e02b2c3d479'
const versions = (header: string) => expectedVersions({ 'if-match': header }, id)

describe('a list of tags', () => {
  // RFC 9110 §8.8.3: any visible character but the quote, a comma among them.
  const letter = fc.constantFrom(...'!#,W/*.-1a~', '\u00e9')
  const foreign = fc.string({ unit: letter, maxLength: 12 })
  const version = fc.integer({ min: 1, max: 2 ** 31 - 1 })
  const tag = fc.oneof(
    version.map((number) => ({ text: `"${id}.${number}"`, means: [number] })),
    version.map((number) => ({ text: `W/"${id}.${number}"`, means: [] })),
    fc
      .tuple(foreign, version)
      .map(([text, number]) => ({ text: `"${text}${id}.${number}"`, means: text === '' ? [number] : [] })),
    foreign.map((text) => ({ text: `"${text}"`, means: [] })),
    fc.constant({ text: '', means: [] }),
  )
  const blank = fc.constantFrom('', ' ', '\t', '  ')
  const list = fc.array(fc.record({ before: blank, tag, after: blank }), { maxLength: 8 })

  test('names the versions of the strong tags of this resource', () => {
    fc.assert(
      fc.property(list, (elements) => {
        const header = elements.map(({ before, tag: { text }, after }) => before + text + after).join(',')
        expect(versions(header)).toEqual(elements.flatMap(({ tag: { means } }) => means))
      }),
      { numRuns: 500 },
    )
  })

  test('of whatever kind names numbers that the column can hold, or none', () => {
    const odd = fc.tuple(anyString, anyString).map(([number, rest]) => `"${id}.${number}"${rest}`)
    fc.assert(
      fc.property(fc.oneof(anyString, odd), (header) => {
        for (const named of versions(header) ?? []) expect(Number.isInteger(named) && named < 2 ** 31).toBe(true)
      }),
    )
  })
})

test('without the header, and with a star, any version will do', () => {
  for (const header of ['*', ' *\t']) expect(versions(header)).toBeUndefined()
  expect(expectedVersions({}, id)).toBeUndefined()
  expect(versions('')).toEqual([])
})

test('an error is told to who has what the handler read before it', async () => {
  const app = fastify()
  spareUnchanged(app)
  app.get('/', (_request, reply) => {
    tagged(reply, { public_id: id, version: 1 })
    throw new Error('on purpose')
  })
  const { statusCode } = await app.inject({ url: '/', headers: { 'if-none-match': `"${id}.1"` } })
  expect(statusCode).toBe(500)
})
