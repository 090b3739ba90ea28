// The load tool: keeps some connections busy with HTTP/1.1 requests over plain sockets, one at a time on each.
//
// Why not autocannon or wrk: on two cores the tool shares one with the database. autocannon 8 takes 2.5 times as
// much of it for each request as this does (27 µs, measured on a quiet core: as much as a hand-written server takes
// for a small answer), and tells times in whole milliseconds; wrk has to be installed on the system and cannot read
// the server's processor time. Here requests are ready-made texts, and of an answer only its status and its end are
// looked for.
//
// It runs in a process of its own, and takes orders as messages.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { quantile } from '../support/figures.ts'
import { processorTime } from '../support/processes.ts'

export interface Order {
  port: number
  connections: number
  /** Seconds of the same load before those that count. */
  warmUp: number
  seconds: number
  /** Whole requests, each sent in its turn. */
  requests: string[]
  /** Whether each is sent once alone: then the load ends with them at the latest. Otherwise they begin anew. */
  once: boolean
  /** What each must be answered with. */
  status: number
  /** The processes whose processor time is told, each with all that it started. */
  pids: Record<string, number>
}

export interface Outcome {
  requests: number
  seconds: number
  /** Microseconds for each request, by the names in `pids`. */
  cpu_us: Record<string, number>
  p50_ms: number
  p99_ms: number
}

const httpHead = /^HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n/
const contentLength = /\r\ncontent-length: *(\d+)/i

/** Gives the status and the length of the answer at the start of `text`, or undefined while it is not whole. */
function readAnswer(text: string): { status: number; length: number } | undefined {
  const head = httpHead.exec(text)
  if (!head) return undefined
  const [whole, status] = head
  const announced = contentLength.exec(whole)
  const last = announced ? whole.length + Number(announced[1]) : endOfChunks(text, whole.length)
  return text.length < last ? undefined : { status: Number(status), length: last }
}

/** Chunked answers, where a server sends them. */
function endOfChunks(text: string, begin: number): number {
  const at = text.indexOf('0\r\n\r\n', begin)
  return at < 0 ? Infinity : at + 5
}

/** Opens the connections, and sends a request on each as soon as the last was answered, until `load.ended`. */
async function startLoad({ port, connections, requests, once: single, status }: Order) {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const { promise: over, resolve: end, reject: fail } = Promise.withResolvers<void>()
  /** `over`: resolves when the requests are used up, and rejects when one fails. */
  const load = { sockets, over, times: [] as number[], next: 0, running: 0, exhausted: false, ended: false }

  for (const socket of sockets) {
    let sent = 0
    let received = ''
    const send = () => {
      if (load.ended) return
      if (load.next === requests.length) {
        load.exhausted = single
        if (single) return end()
        load.next = 0
      }
      load.running++
      sent = performance.now()
      socket.write(requests[load.next++]!, 'utf8')
    }
    // One byte is one character here: lengths are what the headers say.
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      received += chunk
      const answer = readAnswer(received)
      if (!answer) return
      if (answer.status !== status) fail(new Error(`Expected ${status}:\n${received.slice(0, 2000)}`))
      received = received.slice(answer.length)
      load.running--
      load.times.push(performance.now() - sent)
      send()
    })
    socket.on('error', fail)
    socket.on('close', () => load.ended || fail(new Error('The server closed a connection')))
    send()
  }
  return load
}

async function run(order: Order): Promise<Outcome> {
  const measure = () => Object.entries(order.pids).map(([name, pid]) => [name, processorTime(pid)] as const)
  const load = await startLoad(order)
  const wait = (seconds: number) => Promise.race([load.over, delay(seconds)])
  await wait(order.warmUp)
  load.times = []
  const before = measure()
  const begin = performance.now()
  await wait(order.seconds)
  // Of slow answers too there should be one for each connection.
  while (!load.exhausted && load.times.length < order.connections) await wait(0.05)
  const seconds = (performance.now() - begin) / 1000
  const after = Object.fromEntries(measure())
  const times = load.times.slice()

  load.ended = true
  // What is still being answered must not disturb the next server.
  for (let waits = 0; load.running > 0 && waits < 1000; waits++) await delay(0.01)
  for (const socket of load.sockets) socket.destroy()
  return {
    requests: times.length,
    seconds,
    cpu_us: Object.fromEntries(before.map(([name, then]) => [name, (after[name]! - then) / times.length])),
    p50_ms: quantile(times, 0.5),
    p99_ms: quantile(times, 0.99),
  }
}

const delay = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000))

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

process.on('message', (order: Order) => {
  run(order).then(
    (outcome) => process.send!(outcome),
    (error: Error) => process.send!({ error: error.message }),
  )
})
process.once('disconnect', () => process.exit())
