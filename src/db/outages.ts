import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** Milliseconds from one look to the next. */
const interval = 500
/** Milliseconds for which an answer may be awaited before anybody looks, and for which nobody looks again if all is well. */
const patience = 2000
/** Milliseconds that answers have for coming, once the database is back. */
const arrival = 500

interface Watched {
  /** Since when the connections wait that wait for an answer. */
  waiting(): number[]
  /** Makes a connection to look with; it gives up soon. */
  connect(): pg.Client
  /** Told that the database was away and is back: what was asked before this time will not be answered any more. */
  over(since: number): void
}

/**
 * Notices that the database was away and is back. Connections that it forgot meanwhile, or that a network between
 * forgot, stay silent, and those who wait on them would wait for the whole limit of a statement; while they do, all of
 * the pool may be in their hands. So while somebody has waited for long, a new connection is tried now and then. One
 * that comes proves nothing, since statements may be slow; but if none came before, it does.
 */
export function watchForOutages({ waiting, connect, over }: Watched): { end(): void } {
  let isAway = false
  let isLooking = false
  let lookAgain = 0
  async function look() {
    const before = performance.now() - patience
    if (!waiting().some((since) => since < before)) {
      isAway = false
      return
    }
    const wasAway = isAway
    const back = performance.now()
    isAway = !(await answers(connect))
    if (!isAway) lookAgain = performance.now() + patience
    if (isAway || !wasAway) return
    await sleep(arrival, undefined, { ref: false })
    await setImmediate()
    over(back)
  }
  const timer = setInterval(() => {
    if (isLooking || performance.now() < lookAgain) return
    isLooking = true
    void look().finally(() => (isLooking = false))
  }, interval).unref()
  return { end: () => clearInterval(timer) }
}

/** Whether anybody is there. To be refused is an answer too: by a server that has as many connections as it may. */
async function answers(connect: Watched['connect']): Promise<boolean> {
  try {
    const client = connect()
    client.on('error', () => {})
    await client.connect().finally(() => void client.end())
    return true
  } catch (error) {
    return error instanceof pg.DatabaseError
  }
}
