import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import formats from 'ajv-formats'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { ValidationError } from '../../src/core/errors.ts'
import { toJsonSchema, validatorCompiler } from '../../src/core/http/validation.ts'
import { anyString } from './arbitraries.ts'
import { contract, isText, model, refused, type Part } from './input-contract.ts'

interface Operation extends Partial<Record<Part, z.ZodType>> {
  operationId: string
}

/** Validates as Fastify does: gives the value, or `refused`. Whatever else happens is thrown. */
function outcome(schema: z.ZodType, input: unknown): unknown {
  const result = validatorCompiler({ schema, method: 'POST', url: '/' })(input) as { value?: unknown; error?: Error }
  if (!result.error) return result.value
  if (result.error instanceof ValidationError) return refused
  throw result.error
}

function mapValues<T, U>(object: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]))
}

const odd = fc.oneof(anyString, fc.jsonValue({ maxDepth: 1 }), fc.constantFrom(null, '', 0, 1.5, '1', true, [], {}))
const stranger = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  'id',
  'role',
  'owner_id',
  'is_active',
  'page[]',
  '',
)

/** Inputs with these fields, most of them sound, some of them odd, and now and then one that nobody asked for. */
function inputs(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const known = mapValues(fields, (values) =>
    fc.oneof({ weight: 15, arbitrary: values }, { weight: 1, arbitrary: odd }),
  )
  const sent = fc.oneof(
    { weight: 3, arbitrary: fc.record(known) },
    { weight: 1, arbitrary: fc.record(known, { requiredKeys: [] }) },
  )
  const strange = fc.oneof(
    { weight: 7, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: fc.dictionary(stranger, odd, { minKeys: 1, maxKeys: 2 }) },
  )
  // As JSON brings them: with a `__proto__` that is a field like any other.
  return fc.tuple(sent, strange).map((parts) => JSON.parse(JSON.stringify({ ...parts[0], ...parts[1] })) as unknown)
}

const folder = join(import.meta.dirname, '../../src/schemas')
const files = readdirSync(folder).filter((file) => file.endsWith('.schema.ts'))
const modules = (await Promise.all(files.map((file) => import(join(folder, file))))) as Record<string, Operation>[]
const schemas = modules
  .flatMap((module) => Object.values(module))
  .flatMap((operation) =>
    (['body', 'querystring', 'params'] as const).flatMap((part) => {
      const { operationId, [part]: schema } = operation
      return schema ? [{ operationId, part, schema, fields: contract[operationId]?.[part] }] : []
    }),
  )

describe('the input of an operation is read as the contract has it', () => {
  const promised = schemas.flatMap(({ fields, ...schema }) => (fields ? [{ ...schema, fields }] : []))
  const ajv = formats.default(new Ajv2020({ strict: false }))

  test('every part of the contract has its schema', () => {
    expect(promised).toHaveLength(Object.values(contract).flatMap((parts) => Object.keys(parts)).length)
  })

  test.for(promised)('$operationId, $part', ({ part, schema, fields }) => {
    const documented = ajv.compile(toJsonSchema(schema, 'input'))
    const given = mapValues(fields, ({ values }) => values)
    /** What a client sends to get this value: in a query everything is text. */
    const sent = (value: unknown) =>
      part === 'querystring' ? mapValues(value as Record<string, unknown>, String) : value
    fc.assert(
      fc.property(fc.oneof({ weight: 9, arbitrary: inputs(given) }, fc.jsonValue()), (input) => {
        const value = outcome(schema, input)
        expect(value).toStrictEqual(model(fields, input, part))
        // What is accepted is as the document says, and accepted again as it is.
        expect(value === refused || documented(value)).toBe(true)
        expect(value === refused ? refused : outcome(schema, sent(value))).toStrictEqual(value)
      }),
      { numRuns: 150 },
    )
  })
})

describe('any operation, also one that is yet to be written, takes or refuses any JSON', () => {
  test.for(schemas)('$operationId, $part', ({ schema, fields }) => {
    const { shape } = schema as z.ZodObject
    const given = Object.fromEntries(Object.keys(shape).map((name) => [name, fields?.[name]?.values ?? odd]))
    fc.assert(
      fc.property(fc.oneof(inputs(given), fc.jsonValue()), (input) => {
        const value = outcome(schema, input)
        const texts: string[] = []
        JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? texts.push(one) : one))
        expect(texts.filter((one) => !isText(one))).toEqual([])
        expect(
          value === refused ? [] : Object.keys(value as object).filter((name) => !Object.hasOwn(shape, name)),
        ).toEqual([])
      }),
      { numRuns: 50 },
    )
  })
})
