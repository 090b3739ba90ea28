// Before anything is measured: does each server answer as the template does?
import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { send, type Answer } from '../support/requests.ts'
import type { Server } from '../support/workbench.ts'
import type { Endpoint, Requested, World } from './requests.ts'

/** What a server may leave out, when it says so: `next_cursor` in lists, and refusing `"3"` where 3 is meant. */
export type Omission = 'next_cursor' | 'types in bodies'

/** Sends one request of a kind. @throws Error when the answer has another status than it should */
export async function sample({ address }: Server, endpoint: Endpoint, world: World): Promise<Answer> {
  const { path, ...request } = endpoint.requests(world)[0]!
  const answer = await send(`${address}${path}`, request)
  if (answer.status === endpoint.status) return answer
  throw new Error(`${request.method} ${path} was answered with ${answer.status}: ${answer.body}`)
}

/** Who must answer, and what it is allowed to leave out. */
export interface Candidate {
  name: string
  leavesOut?: Omission[]
}

/** @throws Error when a server takes what it must refuse: it would be quick by doing less */
export async function requireRefusals(
  { name, leavesOut = [] }: Candidate,
  server: Server,
  endpoint: Endpoint,
  world: World,
): Promise<void> {
  for (const { of, status, change, unless } of refusals) {
    if (!of.includes(endpoint.name) || (unless && leavesOut.includes(unless))) continue
    const { path, ...request } = { ...endpoint.requests(world)[0]!, ...change(world) }
    const answer = await send(`${server.address}${path}`, request)
    if (answer.status === status) continue
    const what = `${request.method} ${path} ${JSON.stringify(request.body ?? '')}`
    throw new Error(`${name} should refuse ${what} with ${status}, and answered ${answer.status}: ${answer.body}`)
  }
}

const writes = ['patch', 'post', 'delete']
const unknownPath = () => ({ path: `/api/v1/items/${randomUUID()}` })

/** What is changed in a good request, and the status that it should then be refused with. */
const refusals: { of: string[]; status: number; change: (world: World) => Partial<Requested>; unless?: Omission }[] = [
  {
    of: ['get', 'list', 'search', ...writes],
    status: 401,
    change: ({ token }) => ({ token: `${token.slice(0, -5)}AAAAA` }),
  },
  { of: writes, status: 401, change: () => ({ token: undefined }) },
  { of: ['get', 'get-open', 'patch', 'delete'], status: 404, change: unknownPath },
  { of: ['post', 'patch'], status: 400, change: () => ({ body: { name: '' } }) },
  { of: ['post', 'patch'], status: 400, change: () => ({ body: { name: 'x'.repeat(101) } }) },
  { of: ['post', 'patch'], status: 400, change: () => ({ body: { name: 'An item', owner_id: 1 } }) },
  {
    of: ['post', 'patch'],
    status: 400,
    change: () => ({ body: { name: 'An item', priority: '3' } }),
    unless: 'types in bodies',
  },
]

/** @throws Error when two bodies have other fields, or fields of other types */
export function requireSameShape({ name, leavesOut = [] }: Candidate, expected: Answer, actual: Answer): void {
  const without = new Set<string>(leavesOut)
  const [wanted, given] = [expected, actual].map(({ body }) => shapeOf(JSON.parse(body), without))
  if (isDeepStrictEqual(wanted, given)) return
  throw new Error(`${name} answers ${JSON.stringify(given)}, but should ${JSON.stringify(wanted)}`)
}

/** @throws Error when two answers do not have the same headers */
export function requireSameHeaders({ name }: Candidate, expected: Answer, actual: Answer): void {
  const [wanted, given] = [expected, actual].map(({ headers }) => headers.map(([header]) => header).toSorted())
  if (isDeepStrictEqual(wanted, given)) return
  throw new Error(`${name} sends ${given!.join(', ')}, but should send ${wanted!.join(', ')}`)
}

/** Types instead of values; of lists the length and the first entry. `without` some fields. */
function shapeOf(value: unknown, without: Set<string>): unknown {
  if (Array.isArray(value)) return [value.length, shapeOf(value[0], without)]
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  const fields = Object.entries(value).filter(([name]) => !without.has(name))
  const sorted = fields.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(sorted.map(([name, field]) => [name, shapeOf(field, without)]))
}
