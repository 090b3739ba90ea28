import { randomUUID } from 'node:crypto'
import { Agent, request, type IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

interface Outgoing {
  method?: string
  body?: unknown
  token?: string
  headers?: Record<string, string>
  agent?: Agent
  /** Milliseconds to wait for the whole answer. */
  patience?: number
}

/** Sends a request. @throws when the connection breaks, or nothing has come in time */
export function send(url: string, outgoing: Outgoing = {}): Promise<Answer> {
  const { body, method = body === undefined ? 'GET' : 'POST', token, headers = {}, agent, patience = 30_000 } = outgoing
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const text = body === undefined ? undefined : JSON.stringify(body)
  const options = {
    method,
    agent: agent ?? (false as const),
    signal: AbortSignal.timeout(patience),
    headers: {
      ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
  }
  const sent = request(url, options, (incoming) => {
    let received = ''
    incoming.setEncoding('utf8').on('data', (part: string) => (received += part))
    incoming.on('error', reject)
    incoming.on('end', () => resolve({ status: incoming.statusCode!, headers: incoming.headers, body: received }))
  })
  sent.on('error', reject)
  sent.end(text)
  return promise
}

/** Registers an account. Gives its access token. */
export async function register(address: string): Promise<string> {
  const person = { password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }
  const answer = await send(`${address}/api/v1/auth/register`, {
    body: { ...person, email: `${randomUUID()}@example.com` },
  })
  if (answer.status !== 201) throw new Error(`register answered ${answer.status}: ${answer.body}`)
  return (JSON.parse(answer.body) as { data: { access_token: string } }).data.access_token
}

/**
 * Clients that make items, each the next one as soon as the last is answered, on kept-alive connections. The name of
 * an item is its own, so that it can be looked for afterwards.
 */
export function startWriters(address: string, token: string, clients = 16) {
  const stopped = new AbortController()
  /** Names that were answered with 201: these must be found, each once. */
  const acknowledged: string[] = []
  /** Names that got another answer or none: they may be there once, or not. */
  const unknown: string[] = []
  /** How often each status came; 0 is a broken connection. */
  const statuses: Record<number, number> = {}
  /** Answers of 503 that do not say when to come again, and other answers that nobody may get. */
  const faults: Answer[] = []
  /** Milliseconds for which the slowest answer was awaited. */
  let slowest = 0

  async function write() {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!stopped.signal.aborted) {
      const name = randomUUID()
      const begin = performance.now()
      const answer = await send(`${address}/api/v1/items`, { body: { name }, token, agent }).catch(() => undefined)
      slowest = Math.max(slowest, performance.now() - begin)
      const status = answer?.status ?? 0
      statuses[status] = (statuses[status] ?? 0) + 1
      if (status === 201) acknowledged.push(name)
      else unknown.push(name)
      const isHonest = status === 503 && answer?.headers['retry-after'] !== undefined
      if (answer && status !== 201 && !isHonest) faults.push(answer)
      if (status !== 201) await sleep(20)
    }
    agent.destroy()
  }
  const running = Array.from({ length: clients }, write)

  return {
    acknowledged,
    unknown,
    statuses,
    faults,
    slowest: () => slowest,
    /** Waits until so many more were acknowledged. */
    async more(writes: number) {
      for (const enough = acknowledged.length + writes; acknowledged.length < enough;) await sleep(5)
    },
    async stop() {
      stopped.abort()
      await Promise.all(running)
    },
  }
}

/** Clients that ask for the same again and again, each a moment after its last answer, on kept-alive connections. */
export function startReaders(url: string, token: string, clients = 4) {
  const stopped = new AbortController()
  /** How often each status came; 0 is a broken connection. */
  const statuses: Record<number, number> = {}
  /** Milliseconds that each answer took. */
  const durations: number[] = []

  async function read() {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!stopped.signal.aborted) {
      const begin = performance.now()
      const status = await send(url, { token, agent }).then(
        (answer) => answer.status,
        () => 0,
      )
      durations.push(performance.now() - begin)
      statuses[status] = (statuses[status] ?? 0) + 1
      await sleep(10)
    }
    agent.destroy()
  }
  const running = Array.from({ length: clients }, read)

  return {
    statuses,
    durations,
    /** Waits until so many more were answered. */
    async more(answers: number) {
      for (const enough = durations.length + answers; durations.length < enough;) await sleep(5)
    },
    async stop() {
      stopped.abort()
      await Promise.all(running)
    },
  }
}
