import { connect } from 'node:net'
import { expect, onTestFinished, vi } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, startReaders } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { noProc, openFiles } from './support/proc.ts'
import { Server } from './support/server.ts'

const connections = 500

/** Seconds: the server's own limit, one to notice, and what a busy machine may take. */
const limits = { head: 10 + 5, body: 30 + 5 }

/** A connection that sends a byte each second, of its head or of its body, and waits to see what comes of it. */
function crawl(address: string, token: string, part: 'head' | 'body') {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  const begin = performance.now()
  let answer = ''
  socket.on('data', (data) => (answer += data.toString())).on('error', () => {})
  socket.write(
    part === 'head'
      ? 'GET /health HTTP/1.1\r\nHost: x\r\nSlow: '
      : `POST /api/v1/items HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
  )
  const timer = setInterval(() => socket.writable && socket.write(' '), 1000)
  onTestFinished(() => void socket.destroy())
  return new Promise<{ part: 'head' | 'body'; status: number; seconds: number }>((resolve) => {
    socket.on('close', () => {
      clearInterval(timer)
      resolve({ part, status: Number(answer.split(' ', 2)[1]), seconds: (performance.now() - begin) / 1000 })
    })
  })
}

const percentile = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)]!

fault(
  '500 clients that send byte by byte',
  {
    promise:
      'They are cut with 408 within the limits, 10 s for a head and 30 s for a request; others have a p99 < 200 ms',
    on: [],
    cannot: noProc,
  },
  async ({ kind, project }) => {
    // Refusals for too much at once are another fault's, here and there.
    const patient = { OVERLOAD_DELAY_MS: '0' }
    const server = await Server.start(project, await freshDatabase(kind), patient)
    const token = await register(server.address)
    const readers = startReaders(`${server.address}/api/v1/items`, token)
    // What this machine is late by anyway, another server without slow clients tells.
    const control = await Server.start(project, await freshDatabase(kind), patient)
    const undisturbed = startReaders(`${control.address}/api/v1/items`, await register(control.address))
    await readers.more(100)
    const before = openFiles(server.program.pid)
    readers.durations.length = 0
    undisturbed.durations.length = 0
    const parts = Array.from({ length: connections }, (_, index) => (index % 2 === 0 ? 'head' : 'body'))
    const crawling = parts.map((part) => crawl(server.address, token, part))
    await vi.waitFor(() => expect(openFiles(server.program.pid)).toBeGreaterThan(connections), 8000)
    const ends = await Promise.all(crawling)
    await Promise.all([readers.stop(), undisturbed.stop()])

    for (const { part, status, seconds } of ends) {
      expect(status).toBe(408)
      expect(seconds).toBeLessThan(limits[part])
    }
    expect(Object.keys(readers.statuses)).toEqual(['200'])
    const [p99, usual] = [readers, undisturbed].map(({ durations }) => percentile(durations, 0.99)) as [number, number]
    expect(p99).toBeLessThan(200 + usual)
    await vi.waitFor(() => expect(openFiles(server.program.pid)).toBeLessThanOrEqual(before), 8000)
    const longest = (part: 'head' | 'body') =>
      Math.max(...ends.filter((end) => end.part === part).map(({ seconds }) => seconds)).toFixed(0)
    return {
      done: `${connections} connections sent a byte a second, half of them of a head, half of a body`,
      seen: `each cut with 408, after ${longest('head')} s and ${longest('body')} s at most; p99 of the others ${p99.toFixed(0)} ms, and ${usual.toFixed(0)} ms at a server without slow clients; no socket left`,
    }
  },
)
