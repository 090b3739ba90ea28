import { expect } from 'vitest'
import { register, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { Postgresql } from './support/postgresql.ts'
import { Proxy } from './support/proxy.ts'
import { Server } from './support/server.ts'

const limit = 3

const silences = {
  'stands still (SIGSTOP)': (postgresql: Postgresql) => postgresql.freeze(),
  'is behind a network that passes nothing on': (_: Postgresql, proxy: Proxy) => proxy.blackhole(),
}

for (const [title, silence] of Object.entries(silences))
  fault(
    `SIGTERM while PostgreSQL ${title}`,
    {
      promise: 'The server ends with 0 within SHUTDOWN_TIMEOUT_SECONDS and 2 s for closing the database',
      on: ['postgresql'],
    },
    async ({ project }) => {
      const postgresql = await Postgresql.start()
      const proxy = await Proxy.start(postgresql.port)
      const server = await Server.start(project, proxy.through(postgresql.url), {
        SHUTDOWN_TIMEOUT_SECONDS: String(limit),
      })
      const writers = startWriters(server.address, await register(server.address))
      await writers.more(100)
      silence(postgresql, proxy)
      const stopping = writers.stop()
      const begin = performance.now()
      const code = await server.program.stop()
      const seconds = (performance.now() - begin) / 1000
      await stopping

      expect(code).toBe(0)
      expect(seconds).toBeLessThan(limit + 2)
      return {
        done: `with 16 writes waiting for it and SHUTDOWN_TIMEOUT_SECONDS=${limit}`,
        seen: `exit code ${code} after ${seconds.toFixed(1)} s`,
      }
    },
  )
