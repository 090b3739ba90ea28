import { setTimeout as sleep } from 'node:timers/promises'
import { send } from './clients.ts'

/** Asks again and again whether the server is live. `stop` gives the median of the milliseconds that it took. */
export function watchLiveness(address: string) {
  const stopped = new AbortController()
  const times: number[] = []
  const watching = (async () => {
    while (!stopped.signal.aborted) {
      const begin = performance.now()
      const { status } = await send(`${address}/health/live`)
      if (status !== 200) throw new Error(`not live: ${status}`)
      times.push(performance.now() - begin)
      await sleep(50)
    }
  })()
  return {
    async stop(): Promise<number> {
      stopped.abort()
      await watching
      return Math.round(times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!)
    },
  }
}
