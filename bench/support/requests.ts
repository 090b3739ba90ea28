// Requests, one at a time, and what the server answered.
import { randomUUID } from 'node:crypto'
import { request, type Agent } from 'node:http'

export interface Answer {
  status: number
  /** In the order of their coming. */
  headers: [name: string, value: string][]
  body: string
  /** From the request to the end of the answer. */
  milliseconds: number
}

export interface Outgoing {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  body?: unknown
  token?: string
  /** Others than what the above brings along. */
  headers?: Record<string, string>
  /** Without one, a connection of its own. */
  agent?: Agent
  /** Breaks the connection off, whatever has come by then. */
  signal?: AbortSignal
}

/** Sends a request and reads the whole answer. @throws when the connection fails, or is broken off */
export function send(url: string, outgoing: Outgoing = {}): Promise<Answer> {
  const { method = 'POST', body, token, headers: others, agent, signal } = outgoing
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers = {
    ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...others,
  }
  const begin = performance.now()
  const sent = request(url, { method, headers, agent: agent ?? false, ...(signal && { signal }) }, (incoming) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('error', reject)
    incoming.on('end', () => {
      const milliseconds = performance.now() - begin
      const { statusCode: status = 0, rawHeaders } = incoming
      const pairs = rawHeaders.flatMap((name, index): [string, string][] =>
        index % 2 === 0 ? [[name.toLowerCase(), rawHeaders[index + 1]!]] : [],
      )
      resolve({ status, headers: pairs, body: Buffer.concat(chunks).toString(), milliseconds })
    })
  })
  sent.on('error', reject)
  sent.end(text)
  return promise
}

/** All of one length, so that requests are as well. */
export const newEmail = () => `${randomUUID()}@example.com`

/** Registers an account. Gives an access token. */
export async function register({ address }: { address: string }, email: string, password: string): Promise<string> {
  const body = { email, password, first_name: 'Ada', last_name: 'Lovelace' }
  const answer = await send(`${address}/api/v1/auth/register`, { body })
  if (answer.status !== 201) throw new Error(`register answered ${answer.status}: ${answer.body}`)
  return (JSON.parse(answer.body) as { data: { access_token: string } }).data.access_token
}
