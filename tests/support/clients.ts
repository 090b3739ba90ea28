import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, vi } from 'vitest'

/** A GET. Gives the answer when all of it has come. @throws when the connection breaks */
export async function ask(url: string, agent: Agent | false = false): Promise<IncomingMessage> {
  const [response] = (await once(get(url, { agent }), 'response')) as [IncomingMessage]
  await once(response.resume(), 'end')
  return response
}

/**
 * A client that asks again and again on one kept-alive connection, until it is told to close it. Gives every status.
 * @param answered called after each
 */
export async function askUntilClosed(address: string, answered?: () => void): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const statuses: number[] = []
  for (let connection: string | undefined; connection !== 'close';) {
    const { statusCode, headers } = await ask(`${address}/api/v1/items`, agent)
    statuses.push(statusCode!)
    answered?.()
    connection = headers.connection
  }
  agent.destroy()
  return statuses
}

/** Clients that ask again and again, half of them on kept-alive connections, until they are stopped. */
export function startLoad(address: string, clients: number) {
  const done: string[] = []
  const stopped = new AbortController()
  async function client(agent: Agent | false) {
    while (!stopped.signal.aborted) {
      const outcome = await ask(`${address}/api/v1/items`, agent).then(
        ({ statusCode }) => String(statusCode),
        ({ code }: NodeJS.ErrnoException) => code ?? 'failed',
      )
      done.push(outcome)
    }
    if (agent) agent.destroy()
  }
  const running = Array.from({ length: clients }, (_, index) =>
    client(index % 2 === 0 && new Agent({ keepAlive: true, maxSockets: 1 })),
  )
  return {
    /** Waits until so many more requests have been answered. */
    async more(requests: number) {
      for (const enough = done.length + requests; done.length < enough;) await sleep(10)
    },
    /** Gives what became of the requests that were not answered with 200. */
    async stop() {
      stopped.abort()
      await Promise.all(running)
      return done.filter((outcome) => outcome !== '200')
    },
  }
}

/** A registration of which half has arrived. `finish` sends the rest and gives the status line of the answer. */
export async function beginRegistration(address: string, email: string) {
  const body = JSON.stringify({ email, password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' })
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
  const closed = new Promise((resolve) => socket.on('error', () => {}).on('close', resolve))
  // They arrive together: when the first is answered, the second has begun.
  socket.write(
    `GET /health/live HTTP/1.1\r\nHost: ${hostname}\r\n\r\nPOST /api/v1/auth/register HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 20)}`,
  )
  while (!answer.endsWith('}')) await once(socket, 'data')
  return {
    closed,
    async finish() {
      answer = ''
      socket.write(body.slice(20))
      await closed
      return answer.split('\r\n\r\n', 1)[0]!
    },
  }
}

/** Waits until no new connection is taken. */
export const untilRefused = (address: string) =>
  vi.waitFor(async () => {
    const { hostname, port } = new URL(address)
    const socket = connect(Number(port), hostname)
    const outcome = await once(socket, 'connect').then(
      () => 'connected',
      ({ code }: NodeJS.ErrnoException) => code,
    )
    socket.destroy()
    expect(outcome).toBe('ECONNREFUSED')
  }, 10_000)
