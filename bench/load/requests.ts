// The requests that are measured: what each sends, and what it must be answered with.
import type { Outgoing } from '../support/requests.ts'

/** What there is to ask for. */
export interface World {
  /** Of an account that owns items. */
  token: string
  /** Public ids of items of its own. */
  ids: string[]
}

export interface Endpoint {
  name: string
  title: string
  status: number
  /** Each request uses up an item: `ids` are made anew for each load. */
  uses?: 'items'
  requests(world: World): Requested[]
}

export type Requested = Outgoing & { method: 'GET' | 'POST' | 'PATCH' | 'DELETE'; path: string }

const path = '/api/v1/items'
const different = 900
const numbers = Array.from({ length: different }, (_, number) => number)

export const endpoints: Endpoint[] = [
  {
    name: 'get-open',
    title: 'GET item, no token',
    status: 200,
    requests: ({ ids }) => ids.map((id) => ({ method: 'GET', path: `${path}/${id}` })),
  },
  {
    name: 'get',
    title: 'GET item',
    status: 200,
    requests: ({ ids, token }) => ids.map((id) => ({ method: 'GET', path: `${path}/${id}`, token })),
  },
  { name: 'list-open', title: 'GET list (20), no token', status: 200, requests: () => [{ method: 'GET', path }] },
  { name: 'list', title: 'GET list (20)', status: 200, requests: ({ token }) => [{ method: 'GET', path, token }] },
  {
    name: 'search',
    title: 'GET search',
    status: 200,
    // The seed numbers its items: each part is in one of about a thousand.
    requests: ({ token }) =>
      numbers.map((number) => ({ method: 'GET', path: `${path}/search?q=%28${100 + number}`, token })),
  },
  {
    name: 'patch',
    title: 'PATCH item',
    status: 200,
    requests: ({ ids, token }) =>
      ids.map((id, at) => ({
        method: 'PATCH',
        path: `${path}/${id}`,
        token,
        body: { name: `Changed item ${at}`, status: 'active', priority: 1 + (at % 5) },
      })),
  },
  {
    name: 'post',
    title: 'POST item',
    status: 201,
    requests: ({ token }) =>
      numbers.map((number) => ({
        method: 'POST',
        path,
        token,
        body: { name: `New item ${number}`, description: 'Made to be measured.', status: 'draft', priority: 3 },
      })),
  },
  {
    name: 'delete',
    title: 'DELETE item',
    status: 200,
    uses: 'items',
    requests: ({ ids, token }) => ids.map((id) => ({ method: 'DELETE', path: `${path}/${id}`, token })),
  },
]

/** The request as it goes over the wire. */
export function toText({ method, path: target, token, body }: Requested): string {
  const content = body === undefined ? '' : JSON.stringify(body)
  const headers = [
    'host: 127.0.0.1',
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    ...(body === undefined ? [] : ['content-type: application/json', `content-length: ${Buffer.byteLength(content)}`]),
  ]
  return `${method} ${target} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${content}`
}
