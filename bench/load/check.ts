// Before anything is measured: does each server answer as the template does?
import { isDeepStrictEqual } from 'node:util'
import { send, type Answer } from '../support/requests.ts'
import type { Server } from '../support/workbench.ts'
import type { Endpoint, World } from './requests.ts'

/** Sends one request of a kind. @throws Error when the answer has another status than it should */
export async function sample({ address }: Server, endpoint: Endpoint, world: World): Promise<Answer> {
  const { path, ...request } = endpoint.requests(world)[0]!
  const answer = await send(`${address}${path}`, request)
  if (answer.status === endpoint.status) return answer
  throw new Error(`${request.method} ${path} was answered with ${answer.status}: ${answer.body}`)
}

/** @throws Error when two bodies have other fields, or fields of other types */
export function requireSameShape(name: string, expected: Answer, actual: Answer): void {
  const [wanted, given] = [expected, actual].map(({ body }) => shapeOf(JSON.parse(body)))
  if (isDeepStrictEqual(wanted, given)) return
  throw new Error(`${name} answers ${JSON.stringify(given)}, but should ${JSON.stringify(wanted)}`)
}

/** @throws Error when two answers do not have the same headers */
export function requireSameHeaders(name: string, expected: Answer, actual: Answer): void {
  const [wanted, given] = [expected, actual].map(({ headers }) => headers.map(([header]) => header).toSorted())
  if (isDeepStrictEqual(wanted, given)) return
  throw new Error(`${name} sends ${given!.join(', ')}, but should send ${wanted!.join(', ')}`)
}

/** Types instead of values; of lists the length and the first entry. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return [value.length, shapeOf(value[0])]
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(fields.map(([name, field]) => [name, shapeOf(field)]))
}
