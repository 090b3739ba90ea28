import cluster from 'node:cluster'
import type { FastifyBaseLogger } from 'fastify'
import { z } from 'zod'
import { createCounter, type Count } from '../counter.ts'
import { createPatience } from '../patience.ts'

// RateLimiterCluster of rate-limiter-flexible does the same, with a memory that has no bound, with the quota
// it was told first, also after a SIGHUP, and with a listener for each route that hears every message.

const question = z.object({ question: z.object({ id: z.number(), route: z.string(), client: z.string() }) })
const answer = z.object({ answer: z.object({ id: z.number(), requests: z.number(), left: z.number() }) })

/** In the supervisor: counts the requests that its workers ask about. */
export function countForWorkers(): void {
  const routes = new Map<string, ReturnType<typeof createCounter>>()
  cluster.on('message', (worker, message: unknown) => {
    const { data } = question.safeParse(message)
    if (!data) return
    const { id, route, client } = data.question
    const counter = routes.get(route) ?? createCounter()
    routes.set(route, counter)
    // A worker that has just died needs no answer.
    worker.send({ answer: { id, ...counter(client) } } satisfies z.output<typeof answer>, () => {})
  })
}

/** In a worker: asks the supervisor, who counts for all. It gives undefined when there is no answer in time. */
export function askSupervisor(log: FastifyBaseLogger) {
  const waiting = new Map<number, (count: Count) => void>()
  const { ask } = createPatience('The supervisor', log)
  let lastId = 0

  process.on('message', (message) => {
    const { data } = answer.safeParse(message)
    if (data) waiting.get(data.answer.id)?.(data.answer)
  })

  return async (route: string, client: string): Promise<Count | undefined> => {
    const id = ++lastId
    const send = () =>
      new Promise<Count>((resolve, reject) => {
        waiting.set(id, resolve)
        process.send?.({ question: { id, route, client } } satisfies z.output<typeof question>, (error) => {
          if (error) reject(error)
        })
      })
    try {
      return await ask(send)
    } finally {
      waiting.delete(id)
    }
  }
}
