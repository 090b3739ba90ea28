// The clients of a soak, in a process of their own: so many things done in a second, whatever becomes of them.
//
// Says `ready` when the accounts are there. Is told to `start`, again and again to `tell` what happened, and to `stop`:
// then it waits for the answers that are due, closes its connections, tells the rest and ends.
import { Crowd } from './crowd.ts'
import { doSomething, makeItems } from './traffic.ts'

export interface SoakOrder {
  address: string
  /** Things done in a second, nearly all of them one request. */
  rate: number
}

/** A client would long have given up on so many. */
const mostUnderWay = 500

const { address, rate } = JSON.parse(process.argv[2]!) as SoakOrder
const crowd = new Crowd(address)
const underWay = new Set<Promise<unknown>>()

function start(): NodeJS.Timeout {
  const begin = performance.now()
  let done = 0
  return setInterval(() => {
    for (const due = ((performance.now() - begin) / 1000) * rate; done < due; done++)
      if (underWay.size < mostUnderWay) one()
      else crowd.countUnsent()
  }, 5)
}

function one(): void {
  const doing = doSomething(crowd).finally(() => underWay.delete(doing))
  underWay.add(doing)
}

let traffic: NodeJS.Timeout | undefined

async function stop(): Promise<void> {
  clearInterval(traffic)
  await Promise.all(underWay)
  crowd.close()
  process.send!(crowd.takeTally(), () => process.exit())
}

// Whoever started it is gone.
process.once('disconnect', () => process.exit())
process.on('message', (message: 'start' | 'tell' | 'stop') => {
  if (message === 'start') traffic = start()
  else if (message === 'tell') process.send!(crowd.takeTally())
  else void stop()
})
await crowd.gather()
await makeItems(crowd)
crowd.closeIdle()
process.send!('ready')
