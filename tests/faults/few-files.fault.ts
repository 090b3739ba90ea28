import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, startReaders, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

const [rounds, connections, files] = [3, 200, 64]

fault(
  `a flood of connections to a server that may open ${files} files`,
  {
    promise:
      'It goes on: who is connected gets answers, or 503 with Retry-After; when the flood ends others get in again',
    quick: true,
    cannot: () => (process.platform === 'win32' ? 'there is no ulimit here' : undefined),
  },
  async ({ kind, project }) => {
    const url = await freshDatabase(kind)
    const server = await Server.start(project, url, {}, (command) => [
      'sh',
      '-c',
      `ulimit -n ${files} && exec "$@"`,
      'sh',
      ...command,
    ])
    const token = await register(server.address)
    const writers = startWriters(server.address, token, 4)
    const readers = startReaders(`${server.address}/api/v1/items`, token)
    const { hostname, port } = new URL(server.address)
    let [refused, slowest] = [0, 0]
    for (let round = 0; round < rounds; round++) {
      await Promise.all([writers.more(20), readers.more(20)])
      const sockets = Array.from({ length: connections }, () => {
        const socket = connect(Number(port), hostname).on('error', () => {})
        onTestFinished(() => void socket.destroy())
        return socket
      })
      await Promise.all([sleep(500), writers.more(20), readers.more(20)])
      refused += sockets.filter(({ closed }) => closed).length
      await Promise.all(
        sockets.map(async (socket) => {
          if (!socket.closed) await once(socket.destroy(), 'close')
        }),
      )
      slowest = Math.max(slowest, await server.untilLive(), await server.untilReady())
    }
    await Promise.all([writers.stop(), readers.stop()])
    expect(await server.program.stop()).toBe(0)

    expect(writers.faults).toEqual([])
    expect(server.program.output).not.toMatch(/"level":"(error|fatal)"/)
    for (const status of [...Object.keys(writers.statuses), ...Object.keys(readers.statuses)])
      expect(['200', '201', '503']).toContain(status)
    const { lost, doubled } = await lostAndDoubled(url, writers.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    expect(refused).toBeGreaterThan(0)
    expect(slowest).toBeLessThan(5000)
    return {
      done: `${rounds} times ${connections} connections at once while 8 clients read and wrote`,
      seen: `${refused} connections closed at once, none of the 8 clients'; ${writers.acknowledged.length} writes acknowledged, none lost; ready again after ${(slowest / 1000).toFixed(1)} s at most`,
    }
  },
)
