// The clients of login-flood.ts, in a process of their own: their work must not delay the probes that are measured.
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { newEmail, send } from './support/requests.ts'

export interface FloodOrder {
  address: string
  clients: number
  /** Of accounts that exist. */
  emails: string[]
  /** The right one for all of them. */
  password: string
  /** Whether a client that is told to come again later does so; otherwise it tries again at once. */
  patient: boolean
}

export interface Tally {
  seconds: number
  /** Answers by status; 0 for none at all. */
  statuses: Record<number, number>
  /** 429 and 503 that did not say when to come again. */
  withoutRetryAfter: number
  /** Milliseconds that each sign-in took whose password was looked at. */
  times: number[]
}

const order = JSON.parse(process.argv[2]!) as FloodOrder
const tally: Tally = { seconds: 0, statuses: {}, withoutRetryAfter: 0, times: [] }
const agent = new Agent({ keepAlive: true })
const stopped = new AbortController()

/** Half of the clients know the password; of the others half try the e-mail of an account and half one that nobody has. */
function credentials(client: number) {
  const { emails, password } = order
  const email = emails[client % emails.length]!
  if (client % 2 === 0) return { email, password }
  return { email: client % 4 === 1 ? email : newEmail(), password: 'a wrong password' }
}

/** One attempt. Gives the seconds that it was told to wait. */
async function attempt(client: number): Promise<number> {
  const answer = await send(`${order.address}/api/v1/auth/login`, { body: credentials(client), agent }).catch(
    () => undefined,
  )
  // What is answered after the end belongs to no second that is counted.
  if (stopped.signal.aborted) return 0
  const status = answer?.status ?? 0
  tally.statuses[status] = (tally.statuses[status] ?? 0) + 1
  if (answer && (status === 200 || status === 401)) tally.times.push(answer.milliseconds)
  if (status !== 429 && status !== 503) return 0
  const [, seconds] = answer?.headers.find(([name]) => name === 'retry-after') ?? []
  if (seconds === undefined) tally.withoutRetryAfter++
  return Number(seconds ?? 0)
}

async function keepSigningIn(client: number): Promise<void> {
  while (!stopped.signal.aborted) {
    const wait = await attempt(client)
    if (order.patient && wait > 0) await sleep(wait * 1000, undefined, stopped).catch(() => {})
  }
}

const begin = performance.now()
process.once('message', () => {
  tally.seconds = (performance.now() - begin) / 1000
  stopped.abort()
})
process.once('disconnect', () => process.exit())
process.send!('begun')
await Promise.all(Array.from({ length: order.clients }, (_, client) => keepSigningIn(client)))
agent.destroy()
process.send!(tally)
