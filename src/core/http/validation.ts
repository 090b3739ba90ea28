import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import fastJson from 'fast-json-stringify'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifySchemaCompiler,
  FastifySerializerCompiler,
  FastifyTypeProvider,
} from 'fastify'
import { z } from 'zod'
import { ValidationError } from '../errors.ts'
import { parseInput, toldFaults, toldName } from '../input.ts'

/** Lets Fastify take the types of requests and replies from their Zod schemas. */
export interface ZodTypeProvider extends FastifyTypeProvider {
  validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown
  serializer: this['schema'] extends z.ZodType ? z.input<this['schema']> : unknown
}

/** The application as controllers see it. */
export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

/** Validates bodies, queries and paths; handlers get the parsed value. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (data) => {
    try {
      return { value: parseInput(schema, data) }
    } catch (error) {
      return { error: error as Error }
    }
  }

/**
 * Refuses what no schema looks at: a parameter given twice or as a list, on any route, and a body
 * where none is asked for. Nothing that a client sends is passed over in silence.
 */
export function refuseStrayInput(app: FastifyInstance): void {
  app.addHook('preValidation', ({ query, body, routeOptions }, _reply, done) => {
    const repeated = Object.entries(query as Record<string, unknown>)
      .filter(([name, value]) => Array.isArray(value) || (name.endsWith(']') && name.includes('[')))
      .map(([name]) => ({ field: name.slice(0, toldName), message: 'must be given once' }))
    if (repeated.length > 0) throw new ValidationError(repeated.slice(0, toldFaults))
    if (body !== undefined && body !== null && routeOptions.schema?.body === undefined) parseInput(noBody, body)
    done()
  })
}
const noBody = z.strictObject({})

/** Writes replies by their schema, compiled once. It is an allow-list: a field it does not name is not sent. */
export const serializerCompiler: FastifySerializerCompiler<z.ZodType> = ({ schema }) =>
  fastJson(toJsonSchema(schema, 'output') as object)

/**
 * A Zod schema as JSON Schema 2020-12. `io` says which side of its defaults and transforms is meant:
 * `input` for what clients send, `output` for what they get.
 */
export function toJsonSchema(schema: z.ZodType, io: 'input' | 'output') {
  const { $schema: _, ...jsonSchema } = z.toJSONSchema(schema, {
    io,
    override({ zodSchema, jsonSchema: node }) {
      // Zod leaves it out where a transform follows, as it does in query parameters.
      if (io === 'input' && zodSchema instanceof z.ZodDefault) node.default = zodSchema.def.defaultValue
      // "string or null" as one type instead of a choice of two: shorter to read and faster to write.
      const [only, none] = node.anyOf ?? []
      if (node.anyOf?.length === 2 && none?.type === 'null' && typeof only?.type === 'string' && !only.enum) {
        delete node.anyOf
        Object.assign(node, only, { type: [only.type, 'null'] })
      }
      // Said already: by the format, and by what every integer is.
      if (node.format) delete node.pattern
      if (node.minimum === Number.MIN_SAFE_INTEGER) delete node.minimum
      if (node.maximum === Number.MAX_SAFE_INTEGER) delete node.maximum
    },
  })
  return jsonSchema
}
