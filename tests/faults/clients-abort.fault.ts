import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, vi } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, send } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { memoryOf, noProc, openFiles } from './support/proc.ts'
import { Server } from './support/server.ts'

const [clients, atOnce] = [1000, 50]

fault(
  'clients abort in the middle of requests',
  {
    promise: 'Connections and files go back to what they were; the next requests are answered',
    cannot: noProc,
  },
  async ({ kind, project }) => {
    const server = await Server.start(project, await freshDatabase(kind), { DATABASE_POOL_SIZE: '5' })
    const { address } = server
    const { pid } = server.program
    const token = await register(address)
    const item = (name: string) => send(`${address}/api/v1/items`, { body: { name }, token })
    await Promise.all(Array.from({ length: atOnce }, () => item('before')))
    // The pool is full, and stays so while it is used; the clients are gone.
    await sleep(500)
    const before = { files: openFiles(pid), memory: memoryOf(pid) }

    const person = { password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }
    /** Sends a request, all of it or half, and is gone a moment later. */
    async function abort(n: number) {
      const [path, body] =
        n % 10 === 0
          ? ['/api/v1/auth/register', { ...person, email: `${randomUUID()}@example.com` }]
          : ['/api/v1/items', { name: randomUUID() }]
      const text = JSON.stringify(body)
      const sent = request(address + path, {
        method: 'POST',
        agent: false,
        headers: {
          'content-type': 'application/json',
          'content-length': text.length,
          authorization: `Bearer ${token}`,
        },
      })
      sent.on('error', () => {})
      if (n % 4 === 0) sent.write(text.slice(0, 5))
      else sent.end(text)
      await sleep(Math.random() * 20)
      sent.destroy()
    }
    for (let n = 0; n < clients; n += atOnce)
      await Promise.all(Array.from({ length: atOnce }, (_, index) => abort(n + index)))

    const files = await vi.waitFor(
      async () => {
        await item('after')
        const now = openFiles(pid)
        expect(now).toBeLessThanOrEqual(before.files)
        return now
      },
      { timeout: 15_000, interval: 200 },
    )
    const answers = await Promise.all(Array.from({ length: atOnce }, () => item('after')))
    expect(answers.map(({ status }) => status)).toEqual(Array(atOnce).fill(201))
    expect(server.program.log().filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
    return {
      done: `${clients} of them, ${atOnce} at once, on writes and registrations`,
      seen: `files open ${before.files} before, ${files} after; memory ${before.memory} MiB before, ${memoryOf(pid)} MiB after; the next ${atOnce} writes answered with 201`,
    }
  },
)
