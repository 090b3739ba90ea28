import { Server as TcpServer } from 'node:net'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the server is about to stop: readiness says no, and each answer is the last on its connection. */
    isStopping: boolean
  }
}

/** Milliseconds after which a kept-alive connection without a request counts as unused. */
const politeWait = 1000

/** Milliseconds without a new connection after which none waits to be accepted. */
const acceptWait = 100

/**
 * Makes `app.close()` fail no request. It accepts the connections that wait for it, and then no more,
 * but leaves open those there are: a client may just be sending its next request on one. Each answer
 * says `Connection: close`, which ends it politely. Then the silent ones are closed, and after the
 * limit whatever is left.
 */
export function drainOnClose(app: FastifyInstance, limitSeconds: number): void {
  app.decorate('isStopping', false)
  // Fastify says so to requests that arrive while it closes; those already running must be told as well.
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (app.isStopping) reply.header('connection', 'close')
    done()
  })
  app.addHook('preClose', async () => {
    app.isStopping = true
    const { server } = app
    if (!server.listening) return
    const deadline = performance.now() + limitSeconds * 1000
    const patience = () => Math.min(politeWait, deadline - performance.now())
    await acceptWaiting(server, patience())
    // `http.Server.close` would cut the idle connections at once; the one below it does not.
    const drained = new Promise<void>((resolve) => void TcpServer.prototype.close.call(server, () => resolve()))
    const step = (wait: number) => Promise.race([drained.then(() => true), sleep(wait, false, { ref: false })])

    let done = await step(patience())
    while (!done && performance.now() < deadline) {
      server.closeIdleConnections()
      done = await step(100)
    }
    server.closeAllConnections()
    await drained
  })
}

/**
 * Goes on accepting until no connection comes. A server accepts one in each turn of its loop; the others wait in the
 * system, with their requests sent, and closing the listening socket resets them.
 * @param limit milliseconds after which it is over, since clients whose connections are closed may open others for ever
 */
async function acceptWaiting(server: TcpServer, limit: number): Promise<void> {
  let accepted = 0
  server.on('connection', () => accepted++)
  const deadline = performance.now() + limit
  let before: number
  do {
    before = accepted
    await sleep(acceptWait)
    // In a slow turn the time is over before it is seen who waits.
    await turn()
  } while (accepted > before && performance.now() < deadline)
}

/**
 * Goes on serving for so many seconds, new connections too, and tells that the server is about to stop: a proxy that
 * asks whether it is ready sends its requests elsewhere before there is nobody left to take them.
 */
export async function announceStop(app: FastifyInstance, seconds: number): Promise<void> {
  app.isStopping = true
  await sleep(seconds * 1000)
}
