import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { environment } from '../support/settings.ts'
import { register, send } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { Postgresql } from './support/postgresql.ts'
import { Proxy } from './support/proxy.ts'
import { Server } from './support/server.ts'

/** How PostgreSQL is away, and what brings it back. */
const absences = {
  'is not running': async (postgresql: Postgresql) => {
    await postgresql.stop('fast')
    return () => postgresql.start()
  },
  'is behind a network that passes nothing on': async (_: Postgresql, proxy: Proxy) => {
    proxy.blackhole()
    return async () => proxy.back(true)
  },
}

for (const [title, beAway] of Object.entries(absences))
  fault(
    `PostgreSQL ${title} when the server starts`,
    {
      promise: 'It is live and not ready, requests are 503 with Retry-After; ready within 5 s of its return',
      on: ['postgresql'],
    },
    async ({ project }) => {
      const postgresql = await Postgresql.start()
      const proxy = await Proxy.start(postgresql.port)
      const comeBack = await beAway(postgresql, proxy)
      // Waits until it is live.
      const server = await Server.start(project, proxy.through(postgresql.url))
      const { address } = server
      for (let round = 0; round < 3; round++) {
        expect((await send(`${address}/health/live`)).status).toBe(200)
        for (const path of ['/health/ready', '/api/v1/items']) {
          const { status, headers } = await send(address + path)
          expect({ path, status, again: headers['retry-after'] }).toMatchObject({
            status: 503,
            again: expect.stringMatching(/^\d+$/) as string,
          })
        }
        await sleep(200)
      }
      await comeBack()
      const ready = await server.untilReady()
      expect(ready).toBeLessThan(5000)
      await register(address)
      return {
        done: 'the server started meanwhile, and was asked 9 times',
        seen: `live 200, ready 503, items 503; ready ${(ready / 1000).toFixed(1)} s after its return`,
      }
    },
  )

fault(
  'the file of SQLite is not there when the server starts',
  {
    promise: 'In production it refuses to start, in one line: an empty database in its place would hide the loss',
    on: ['sqlite'],
    quick: true,
  },
  async ({ project }) => {
    const folder = (await freshDatabase('sqlite', true)).replace(/\.db$/, '')
    const settings = { ...environment, NODE_ENV: 'production', DATABASE_URL: `${folder}/app.db` }
    const program = project.start(settings)
    expect(await program.ended).toBe(1)
    expect(program.output).toMatch(/^There is no database yet\. .*\n$/)
    return { done: 'started once, without the folder', seen: `exit code 1: "${program.output.trim()}"` }
  },
)
