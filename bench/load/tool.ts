// Starts the load tool, and gives it orders.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { otherCores, pinned } from '../support/processes.ts'
import type { Order, Outcome } from './clients.ts'

export interface LoadTool {
  /** @throws Error when a request was not answered as expected */
  load(order: Order): Promise<Outcome>
  stop(): void
}

/** Starts it in a process of its own, not on the core of the server. */
export function startLoadTool(): LoadTool {
  const [file, ...parameters] = pinned([process.execPath, join(import.meta.dirname, 'clients.ts')], otherCores)
  const child = spawn(file!, parameters, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return {
    async load(order) {
      child.send(order)
      const [answer] = (await once(child, 'message')) as [Outcome | { error: string }]
      if ('error' in answer) throw new Error(answer.error)
      return answer
    },
    stop: () => void child.kill(),
  }
}
