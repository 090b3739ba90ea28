import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { ValidationError } from '../../src/core/errors.ts'
import { serializerCompiler, toJsonSchema, validatorCompiler } from '../../src/core/http/validation.ts'
import { pageParameters, text, time, trimmed, uuid } from '../../src/schemas/mixins.ts'

/** Validates as Fastify does: gives the value, or the faults. */
function validate(schema: z.ZodType, data: unknown) {
  const result = validatorCompiler({ schema, method: 'POST', url: '/' })(data) as { value?: unknown; error?: Error }
  return result.error instanceof ValidationError ? result.error.errors : { value: result.value }
}
const accepts = (schema: z.ZodType, data: unknown) => schema.safeParse(data).success

describe('a fault', () => {
  const order = z.strictObject({
    address: z.strictObject({ city: text(1, 10) }),
    lines: z.array(z.strictObject({ count: z.int() })),
  })

  test('is told by a dotted path, into objects and lists', () => {
    expect(validate(order, { address: { city: '' }, lines: [{ count: 1 }, { count: 'two' }] })).toEqual([
      { field: 'address.city', message: 'must have 1 to 10 characters' },
      { field: 'lines.1.count', message: expect.any(String) },
    ])
  })

  test('of an unknown field names that field', () => {
    expect(validate(order, { address: { city: 'x', zip: 1 }, lines: [], extra: 1, more: 2 })).toEqual([
      { field: 'address.zip', message: 'is not a known field' },
      { field: 'extra', message: 'is not a known field' },
      { field: 'more', message: 'is not a known field' },
    ])
  })

  test('of the whole body is told as that of "body"', () => {
    for (const body of [undefined, null, 7, 'text', []])
      expect(validate(order, body)).toEqual([{ field: 'body', message: expect.any(String) }])
  })

  test('never repeats the value', () => {
    const schema = z.strictObject({ kind: z.enum(['a', 'b']), id: uuid, count: z.int().max(5), name: text(1, 5) })
    const canary = 'canary-value'
    expect(JSON.stringify(validate(schema, { kind: canary, id: canary, count: canary, name: canary }))).not.toContain(
      canary,
    )
  })

  test('among very many is one of twenty that are told', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`field${index}`, 1]))
    expect(validate(z.strictObject({}), many)).toHaveLength(20)
    expect(validate(z.array(z.int()), Array(1000).fill('x'))).toHaveLength(20)
  })
})

describe('text', () => {
  test('is counted in characters', () => {
    expect(accepts(text(2, 3), '🦊🦊🦊')).toBe(true)
    expect(accepts(text(2, 3), '🦊🦊🦊🦊')).toBe(false)
    expect(accepts(text(2, 3), '🦊')).toBe(false)
  })

  test('is kept to the letter, or trimmed before it is counted', () => {
    expect(validate(text(1, 5), ' a ')).toEqual({ value: ' a ' })
    expect(validate(trimmed(1, 5), '\t\u00a0 a \n')).toEqual({ value: 'a' })
    expect(accepts(trimmed(1, 5), '   ')).toBe(false)
    expect(accepts(trimmed(1, 5), `     abcde     `)).toBe(true)
  })

  test.for(['a\0', '\ud83e', '\udd8a\ud83e', 'a\udd8a'])('has no NUL and no lone surrogate: %j', (value) => {
    expect(accepts(text(0, 100), value)).toBe(false)
    expect(accepts(trimmed(0, 100), value)).toBe(false)
  })
})

describe('a public id', () => {
  test('is any UUID, in any letter case', () => {
    expect(validate(uuid, 'F47AC10B-58CC-4372-A567-0E02B2C3D479')).toEqual({
      value: 'f47ac10b-58cc-4372-a567-0e02b2c3d479',
    })
    expect(accepts(uuid, '0199a1b2-0000-7000-8000-000000000000')).toBe(true)
  })

  test.for(['', '1', 'f47ac10b58cc4372a5670e02b2c3d479', '{f47ac10b-58cc-4372-a567-0e02b2c3d479}', ' '])(
    'is nothing else: %j',
    (value) => {
      expect(accepts(uuid, value)).toBe(false)
    },
  )
})

describe('page parameters', () => {
  const page = z.strictObject(pageParameters)

  test('have defaults and become numbers', () => {
    expect(validate(page, {})).toEqual({ value: { page: 1, per_page: 20 } })
    expect(validate(page, { page: '2', per_page: '100' })).toEqual({ value: { page: 2, per_page: 100 } })
  })

  test('given twice are refused', () => {
    expect(validate(page, { page: ['1', '2'] })).toEqual([{ field: 'page', message: 'must be given once' }])
  })
})

describe('a reply', () => {
  const schema = z.object({ name: z.string(), note: z.string().nullable(), at: time, inner: z.object({ a: z.int() }) })
  const write = serializerCompiler({ schema, method: 'GET', url: '/' })
  const reply = { name: 'x', note: null, at: '2026-11-22T10:00:00.000Z', inner: { a: 1 } }

  test('holds what its schema names', () => {
    expect(JSON.parse(write(reply))).toEqual(reply)
  })

  test('holds nothing else, at any depth', () => {
    const leaking = { ...reply, id: 7, password_hash: 'x', inner: { a: 1, id: 8 } }
    expect(JSON.parse(write(leaking))).toEqual(reply)
  })
})

describe('as JSON Schema', () => {
  test('"a string or null" is one type', () => {
    expect(toJsonSchema(text(0, 9).nullable(), 'input')).toEqual({
      type: ['string', 'null'],
      minLength: 0,
      maxLength: 9,
    })
  })

  test('an enumeration or null stays a choice', () => {
    expect(toJsonSchema(z.enum(['a']).nullable(), 'input')).toMatchObject({
      anyOf: [{ enum: ['a'] }, { type: 'null' }],
    })
  })

  test('a format says what its pattern would, and an integer has no needless limits', () => {
    expect(toJsonSchema(uuid, 'input')).toMatchObject({ type: 'string', format: 'uuid' })
    expect(toJsonSchema(uuid, 'input')).not.toHaveProperty('pattern')
    expect(toJsonSchema(z.int(), 'output')).toEqual({ type: 'integer' })
    expect(toJsonSchema(z.int().min(1).max(5), 'output')).toEqual({ type: 'integer', minimum: 1, maximum: 5 })
  })

  test('a page parameter is the integer that clients think of, with its default', () => {
    expect(toJsonSchema(pageParameters.per_page, 'input')).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 100,
      default: 20,
      description: expect.any(String),
    })
  })
})
