import cluster from 'node:cluster'
import { z } from 'zod'

/** The variable that tells a worker that it takes the place of one that serves. */
export const replacement = 'WORKER_IS_REPLACEMENT'

export const isReplacement = process.env[replacement] !== undefined

const message = z.object({ address: z.string() })

/** Tells the supervisor that this worker listens. */
export function tellAddress(address: string): void {
  process.send?.({ address } satisfies z.output<typeof message>)
}

/** The address that a worker's message tells, if it does. Others count requests, or are from `node --watch`. */
export const toldAddress = (received: unknown): string | undefined => message.safeParse(received).data?.address

/** Makes this worker live and end with its supervisor. */
export function followSupervisor(): void {
  const { worker } = cluster
  // Closing a terminal sends it to everybody; what it means is for the supervisor to say.
  process.on('SIGHUP', () => {})
  worker?.on('disconnect', () => {
    // It is gone. Node would exit at once, in the middle of requests, but for this mark.
    worker.exitedAfterDisconnect = true
    // At once, so that its successor can have the port.
    process.kill(process.pid, 'SIGINT')
  })
}
