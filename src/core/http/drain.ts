import { Server as TcpServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether the server is about to stop: readiness says no, and each answer is the last on its connection. */
    isStopping: boolean
  }
}

/** Milliseconds after which a kept-alive connection without a request counts as unused. */
const politeWait = 1000

/**
 * Makes `app.close()` fail no request. It stops accepting connections, but leaves open those there
 * are: a client may just be sending its next request on one. Each answer says
 * `Connection: close`, which ends it politely. Then the silent ones are closed, and after the limit
 * whatever is left.
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
    // `http.Server.close` would cut the idle connections at once; the one below it does not.
    const drained = new Promise<void>((resolve) => void TcpServer.prototype.close.call(server, () => resolve()))
    const deadline = performance.now() + limitSeconds * 1000
    const step = (wait: number) => Promise.race([drained.then(() => true), sleep(wait, false, { ref: false })])

    let done = await step(Math.min(politeWait, limitSeconds * 1000))
    while (!done && performance.now() < deadline) {
      server.closeIdleConnections()
      done = await step(100)
    }
    server.closeAllConnections()
    await drained
  })
}

/**
 * Goes on serving for so many seconds, new connections too, and tells that the server is about to stop: a proxy that
 * asks whether it is ready sends its requests elsewhere before there is nobody left to take them.
 */
export async function announceStop(app: FastifyInstance, seconds: number): Promise<void> {
  app.isStopping = true
  await sleep(seconds * 1000)
}
