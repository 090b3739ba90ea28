import cluster, { type Worker } from 'node:cluster'
import type { Logger } from 'pino'
import type { EndSignal } from '../stop.ts'
import { toldAddress } from './worker.ts'

/** Milliseconds that a worker may take until it listens. */
const startLimit = 60_000

interface Exit {
  code: number | null
  signal: string | null
}

/** A worker as its supervisor sees it, from its start to its end. */
export interface WorkerProcess {
  id: number
  pid: number | undefined
  /** By `performance.now`. */
  since: number
  /** Its address once it listens; undefined if it ends before. */
  listens: Promise<string | undefined>
  ended: Promise<Exit>
  kill(signal: NodeJS.Signals): void
}

/**
 * Starts the program once more, as a worker.
 * @param environment what it gets beside that of this process
 */
export function startWorker(environment: Record<string, string>, log: Logger): WorkerProcess {
  let worker: Worker
  try {
    worker = cluster.fork(environment)
  } catch (error) {
    // Too little memory, for example: for some reasons Node throws, of others it tells by an event.
    log.warn({ err: error }, 'a worker cannot be started')
    const ended = Promise.resolve({ code: 1, signal: null })
    return {
      id: 0,
      pid: undefined,
      since: performance.now(),
      listens: Promise.resolve(undefined),
      ended,
      kill: () => {},
    }
  }
  const { id, process: child } = worker
  // Not `worker.kill`, which takes the channel away first.
  const kill = (signal: NodeJS.Signals) => void child.kill(signal)

  const ended = new Promise<Exit>((resolve) => {
    worker.on('exit', (code, signal) => resolve({ code, signal }))
    // A message that came too late for a dying worker, for example; without a listener it would end this process.
    worker.on('error', (error) => {
      log.warn({ err: error, id }, 'a worker cannot be reached')
      // There is no exit where there was no process.
      if (child.pid === undefined) resolve({ code: 1, signal: null })
    })
  })
  const told = new Promise<string>((resolve) => {
    worker.on('message', (message: unknown) => {
      const address = toldAddress(message)
      if (address !== undefined) resolve(address)
    })
  })
  const timer = setTimeout(() => kill('SIGKILL'), startLimit)
  const listens = Promise.race([told, ended.then(() => undefined)]).then((address) => {
    clearTimeout(timer)
    if (address !== undefined) log.info({ id, pid: child.pid }, 'a worker listens')
    return address
  })
  return { id, pid: child.pid, since: performance.now(), listens, ended, kill }
}

/**
 * Tells a worker to finish what runs and end, and kills it after so many seconds.
 * @param signal SIGTERM lets it go on for `SHUTDOWN_DELAY_SECONDS` first
 */
export async function endWorker(
  { kill, ended }: WorkerProcess,
  signal: EndSignal,
  limitSeconds: number,
): Promise<Exit> {
  kill(signal)
  const timer = setTimeout(() => kill('SIGKILL'), limitSeconds * 1000)
  const exit = await ended
  clearTimeout(timer)
  return exit
}
