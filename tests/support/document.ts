import formats from 'ajv-formats'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

interface Reply {
  status: number
  headers: Headers
  text: string
  body: unknown
}

interface Response {
  $ref?: string
  headers?: object
  content?: Record<string, { schema: object }>
}

export interface ApiDocument {
  paths: Record<string, Record<string, { responses: Record<string, Response> }>>
  components: { responses: Record<string, Response>; schemas: Record<string, object> }
}

/** Statuses that belong to no operation: the path or the method is unknown, or the request was broken before it was one. */
const outsideOperations = [404, 405, 408, 431]

/** Makes a check that a reply is one that the OpenAPI document promises, to the letter. */
export function createDocumentCheck({ paths, components }: ApiDocument) {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  formats.default(ajv)
  const compiled = new Map<object, ValidateFunction>()
  const compile = (schema: object) => {
    const known = compiled.get(schema) ?? ajv.compile({ ...schema, components })
    compiled.set(schema, known)
    return known
  }
  const patterns = Object.keys(paths).map((path) => ({
    path,
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
  }))

  return (method: string, url: string, { status, headers, text, body }: Reply): void => {
    const target = url.split('?', 1)[0]!
    const path = target in paths ? target : patterns.find(({ pattern }) => pattern.test(target))?.path
    const operation = path === undefined ? undefined : paths[path]![method.toLowerCase()]
    if (!operation && outsideOperations.includes(status)) return
    const named = operation?.responses[status]
    if (!named) throw new Error(`${method} ${target} answered ${status}, which the document does not name`)
    const response = named.$ref ? components.responses[named.$ref.split('/').at(-1)!]! : named
    if (headers.has('etag') !== 'ETag' in (response.headers ?? {}))
      throw new Error(`${method} ${target} ${status}: its ETag, or that it has none, is not in the document`)
    if (!response.content) {
      if (text === '' && !headers.has('content-type')) return
      throw new Error(`${method} ${target} ${status} has a body, which the document does not name`)
    }
    const type = headers.get('content-type')!.split(';', 1)[0]!
    const media = response.content[type]
    if (!media) throw new Error(`${method} ${target} ${status} came as ${type}, which the document does not name`)
    const validate = compile(media.schema)
    for (const value of type.endsWith('ndjson') ? (body as unknown[]) : [body])
      if (!validate(value))
        throw new Error(`${method} ${target} ${status}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`)
  }
}
