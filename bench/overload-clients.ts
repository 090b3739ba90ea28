// The clients of overload.ts, in a process of their own. They speak HTTP over bare sockets, since `node:http` would
// cost as much as the server that is measured: one core could then not offer it four times what it can carry.
import { connect, type Socket } from 'node:net'

export interface LoadOrder {
  address: string
  /** Whole requests, sent in turn. */
  requests: string[]
  /** Requests in a second, whatever becomes of them; without it, each connection sends the next when it has its answer. */
  rate?: number
  /** As many as may be open; with a rate, what finds none free is not sent. */
  connections: number
  /** Seconds that are not counted, and seconds that are. */
  warmUp: number
  seconds: number
}

export interface LoadTally {
  seconds: number
  accepted: number
  shed: number
  /** Answered with anything else. */
  others: number
  /** Not sent, because every connection was in use: a client would long have given up. */
  unsent: number
  /** 503 that did not say when to come again. */
  withoutRetryAfter: number
  /** Milliseconds from when a request was due to the end of its answer, of those accepted. */
  times: number[]
}

const order = JSON.parse(process.argv[2]!) as LoadOrder
const { hostname, port } = new URL(order.address)
const begin = performance.now() + order.warmUp * 1000
const end = begin + order.seconds * 1000
const tally: LoadTally = {
  seconds: order.seconds,
  accepted: 0,
  shed: 0,
  others: 0,
  unsent: 0,
  withoutRetryAfter: 0,
  times: [],
}
const idle: Connection[] = []
let connections = 0
let sent = 0

interface Connection {
  socket: Socket
  due: number
  received: string
}

/** Counts a request in the time in which it was due. */
function count(due: number, answer: string): void {
  if (due < begin || due >= end) return
  const status = answer.slice(9, 12)
  if (status === '503') {
    tally.shed++
    if (!/\r\nretry-after: \d+\r\n/i.test(answer)) tally.withoutRetryAfter++
  } else if (status.startsWith('2')) {
    tally.accepted++
    tally.times.push(performance.now() - due)
  } else tally.others++
}

/** Whether a whole answer has arrived: all of them say how long they are. */
function isWhole(answer: string): boolean {
  const head = answer.indexOf('\r\n\r\n')
  if (head < 0) return false
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(answer) ?? []
  return answer.length >= head + 4 + Number(length ?? 0)
}

function open(whenFree: (connection: Connection) => void): Connection {
  connections++
  const socket = connect(Number(port), hostname).setNoDelay().setEncoding('latin1')
  const connection: Connection = { socket, due: 0, received: '' }
  socket.on('data', (text: string) => {
    connection.received += text
    if (!isWhole(connection.received)) return
    count(connection.due, connection.received)
    connection.received = ''
    whenFree(connection)
  })
  socket.on('error', () => tally.others++).on('close', () => connections--)
  return connection
}

function request(connection: Connection, due: number): void {
  connection.due = due
  connection.socket.write(order.requests[sent++ % order.requests.length]!)
}

/** Each connection sends on and on. */
function sendInTurn(): void {
  for (let index = 0; index < order.connections; index++)
    request(
      open((connection) => request(connection, performance.now())),
      performance.now(),
    )
}

/** Sends what is due, every millisecond. */
function sendAt(rate: number): void {
  const start = performance.now()
  let due = 0
  setInterval(() => {
    for (const now = performance.now(); ; due++) {
      const time = start + (due * 1000) / rate
      if (time > now) return
      const connection =
        idle.pop() ?? (connections < order.connections ? open((free) => void idle.push(free)) : undefined)
      if (connection) request(connection, time)
      else if (time >= begin && time < end) tally.unsent++
    }
  }, 1)
}

if (order.rate === undefined) sendInTurn()
else sendAt(order.rate)
// A second more, for answers to what was sent last.
setTimeout(() => process.send!(tally, () => process.exit()), end + 1000 - performance.now())
