import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { endOnSignals, type EndSignal } from '../stop.ts'
import { countForWorkers } from './shared-count.ts'
import { endWorker, startWorker, type WorkerProcess } from './worker-process.ts'
import { replacement } from './worker.ts'

/** Seconds beyond the requests' own limit after which a worker that does not end is killed. */
const endingMargin = 4
/** Milliseconds before the second restart in a row; each next waits twice as long. The first does not wait. */
const firstWait = 100
const longestWait = 30_000
/** Milliseconds of life after which a worker's death is the first again. */
const longLife = 60_000

/** Where one worker lives; when it is gone, another. */
interface Place {
  worker: WorkerProcess
}

/**
 * Runs `WEB_CONCURRENCY` workers until the process is told to end. One that dies is replaced; SIGHUP replaces
 * all, one by one.
 *
 * New workers read `.env` and the code anew. The number of workers, and how long they may take to end, stay as
 * they were when the supervisor started. A port that `PORT=0` found stays as long as one worker lives.
 * @returns the address, once the first worker listens; if that one cannot, the process ends as it did
 */
export async function supervise(config: Config, log: Logger): Promise<string> {
  const workers = new Set<WorkerProcess>()
  const places: Place[] = []
  const environment = { WEB_CONCURRENCY: String(config.WEB_CONCURRENCY) }
  const endLimit = config.SHUTDOWN_DELAY_SECONDS + config.SHUTDOWN_TIMEOUT_SECONDS + endingMargin
  let stopping = false

  function start(replaces = false): WorkerProcess {
    const worker = startWorker({ ...environment, ...(replaces && { [replacement]: 'true' }) }, log)
    workers.add(worker)
    void worker.ended.then(() => workers.delete(worker))
    return worker
  }

  /** Sees to it that somebody lives there, until the end. */
  async function keep(place: Place): Promise<void> {
    for (let shortLives = 0; ;) {
      const { worker } = place
      const { code, signal } = await worker.ended
      if (stopping) return
      // Replaced: its end was wanted.
      if (place.worker !== worker) {
        shortLives = 0
        continue
      }
      shortLives = performance.now() - worker.since < longLife ? shortLives + 1 : 1
      const wait = shortLives === 1 ? 0 : Math.min(firstWait * 2 ** (shortLives - 2), longestWait)
      log.error({ id: worker.id, pid: worker.pid, code, signal, wait_ms: wait }, 'a worker died')
      await sleep(wait)
      if (stopping) return
      if (place.worker === worker) place.worker = start()
    }
  }

  function occupy(worker: WorkerProcess): void {
    const place = { worker }
    places.push(place)
    void keep(place)
  }

  async function replaceAll(): Promise<void> {
    for (const place of places) {
      if (stopping) return
      const next = start(true)
      const comesUp = (await next.listens) !== undefined
      if (stopping) return
      if (!comesUp) {
        const end = { id: next.id, pid: next.pid, ...(await next.ended) }
        log.error(end, 'a new worker did not come up: the others stay as they are')
        return
      }
      const { worker } = place
      place.worker = next
      const { code, signal } = await endWorker(worker, 'SIGINT', endLimit)
      if (code !== 0)
        log.error({ id: worker.id, pid: worker.pid, code, signal }, 'a replaced worker did not end cleanly')
    }
    log.info('all workers replaced')
  }

  async function stop(signal: EndSignal = 'SIGINT'): Promise<void> {
    stopping = true
    const exits = await Promise.all([...workers].map((worker) => endWorker(worker, signal, endLimit)))
    // One that was just starting knows no better than to die of the signal.
    const unclean = exits.filter((exit) => exit.code !== 0 && exit.signal !== signal)
    if (unclean.length > 0) throw new Error(`Workers that did not end cleanly: ${unclean.length}`)
  }

  // All workers listen on one socket: a connection waits in the system until somebody takes it. Would this process
  // take and hand them on, those on their way to a worker that is killed would hang, neither answered nor closed.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  endOnSignals(stop, log, endLimit)
  // From a terminal it says that the window was closed, and ends everything.
  if (!process.stdin.isTTY) process.on('SIGHUP', oneAtATime(replaceAll))
  // However this process ends, nothing stays behind.
  process.on('exit', () => {
    for (const { kill } of workers) kill('SIGKILL')
  })
  countForWorkers()

  // The first one alone: what keeps it from listening would keep the others too, and is told once.
  const first = start()
  const address = await first.listens
  if (address === undefined) process.exit(stopping ? 0 : ((await first.ended).code ?? 1))
  occupy(first)
  if (!stopping) for (let more = 1; more < config.WEB_CONCURRENCY; more++) occupy(start())
  return address
}

/** Runs a job when asked to; asked while it runs, once more after it. */
function oneAtATime(job: () => Promise<void>): () => void {
  let running = false
  let again = false
  const run = async () => {
    again = true
    if (running) return
    running = true
    while (again) {
      again = false
      await job()
    }
    running = false
  }
  return () => void run()
}
