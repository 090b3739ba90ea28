import type { FastifyInstance, FastifyReply } from 'fastify'
import { UnavailableError } from '../errors.ts'

/** Milliseconds from one look at the running requests to the next. */
const interval = 1000

/**
 * Answers 503 to requests that have waited so many seconds for an answer, or up to a second longer. What they began
 * goes on; the database's own time limits end it. An answer that has begun, as a long export, is not cut.
 *
 * One look a second at those that came first, because a timer for each request costs more than all this.
 */
export function limitTime(app: FastifyInstance, seconds: number): void {
  // A set keeps the order of their coming.
  const running = new Set<FastifyReply>()
  app.addHook('onRequest', (_request, reply, done) => {
    running.add(reply)
    done()
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    running.delete(reply)
    done()
  })

  const timer = setInterval(() => {
    for (const reply of running) {
      if (reply.elapsedTime < seconds * 1000) return
      const { complete, destroyed } = reply.request.raw
      // For one that has not arrived yet Node has a limit of its own, and 408.
      if (!complete && !destroyed) continue
      running.delete(reply)
      if (complete && !reply.sent && !reply.raw.headersSent) expire(reply)
    }
  }, interval).unref()
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer)
    done()
  })
}

function expire(reply: FastifyReply): void {
  reply.send(new UnavailableError('The request took too long', { retryAfter: 5 }))
  // What the handler comes to now is nobody's answer, and Fastify would take it for a mistake.
  reply.log = reply.log.child({}, { level: 'silent' })
}
