// Loaded into the server of a soak, with `--import`: tells what cannot be seen from outside.
import { appendFileSync } from 'node:fs'
import { constants, monitorEventLoopDelay, PerformanceObserver, type PerformanceNodeEntry } from 'node:perf_hooks'

/** What was seen since the last line; delays in milliseconds, memory in MiB. */
export interface Inside {
  heap_mib: number
  /** What was left after the latest whole collection, if there was one: what the program holds on to. */
  heap_after_gc_mib?: number
  /** Memory outside of the heap that belongs to objects in it, as buffers do. */
  external_mib: number
  loop_p50_ms: number
  loop_p99_ms: number
  loop_max_ms: number
}

const file = process.env['SOAK_FILE']
const interval = Number(process.env['SOAK_INTERVAL_MS'])
/** Milliseconds from one look at the event loop to the next, which it counts along. */
const resolution = 10

const delay = monitorEventLoopDelay({ resolution })
let afterCollection: number | undefined

const toMebibytes = (bytes: number) => bytes / 2 ** 20
const toDelay = (nanoseconds: number) => Math.max(nanoseconds / 1e6 - resolution, 0)

function look(): Inside {
  const { heapUsed, external } = process.memoryUsage()
  const seen = {
    heap_mib: toMebibytes(heapUsed),
    ...(afterCollection !== undefined && { heap_after_gc_mib: toMebibytes(afterCollection) }),
    external_mib: toMebibytes(external),
    loop_p50_ms: toDelay(delay.percentile(50)),
    loop_p99_ms: toDelay(delay.percentile(99)),
    loop_max_ms: toDelay(delay.max),
  }
  afterCollection = undefined
  delay.reset()
  return seen
}

if (file) {
  delay.enable()
  new PerformanceObserver((list) => {
    const collections = list.getEntries() as PerformanceNodeEntry[]
    const isWhole = collections.some(
      ({ detail }) => (detail as { kind: number }).kind === constants.NODE_PERFORMANCE_GC_MAJOR,
    )
    if (isWhole) afterCollection = process.memoryUsage().heapUsed
  }).observe({ entryTypes: ['gc'] })
  setInterval(() => appendFileSync(file, `${JSON.stringify(look())}\n`), interval).unref()
}
