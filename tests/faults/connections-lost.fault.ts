import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { register, send, startWriters } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { Postgresql } from './support/postgresql.ts'
import { Proxy } from './support/proxy.ts'
import { Server } from './support/server.ts'

fault(
  'idle connections that died without a word',
  { promise: 'The next requests succeed within 5 s: a connection that was idle is asked first', on: ['postgresql'] },
  async ({ project }) => {
    const postgresql = await Postgresql.start()
    const proxy = await Proxy.start(postgresql.port)
    const server = await Server.start(project, proxy.through(postgresql.url))
    const token = await register(server.address)
    let slowest = 0
    for (let round = 0; round < 3; round++) {
      const writers = startWriters(server.address, token)
      await writers.more(50)
      await writers.stop()
      proxy.blackhole()
      await sleep(1500)
      proxy.back(true)
      const begin = performance.now()
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => send(`${server.address}/api/v1/items`, { body: { name: 'after' }, token })),
      )
      slowest = Math.max(slowest, performance.now() - begin)
      expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201))
    }
    expect(slowest).toBeLessThan(5000)
    return {
      done: '3 times, each connection of the pool',
      seen: `the next 20 writes answered with 201 within ${(slowest / 1000).toFixed(1)} s`,
    }
  },
)

fault(
  'one backend of PostgreSQL that stands still (SIGSTOP)',
  {
    promise: 'Who waits on it gets 503 within the time limit; nobody else notices; it is never used again',
    on: ['postgresql'],
  },
  async ({ project }) => {
    const postgresql = await Postgresql.start()
    const server = await Server.start(project, postgresql.url, { DATABASE_TIMEOUT_SECONDS: '3' })
    const token = await register(server.address)
    const stopped: number[] = []
    const statuses: Record<number, number> = {}
    let slowest = 0
    for (let round = 0; round < 3; round++) {
      const warm = startWriters(server.address, token)
      await warm.more(50)
      await warm.stop()
      // One that is idle, and so holds nothing that others wait for.
      const [backend] = await postgresql.query<{ pid: number }>(
        `select pid from pg_stat_activity where application_name = 'app' and state = 'idle' and pid <> all($1) limit 1`,
        [stopped],
      )
      process.kill(backend!.pid, 'SIGSTOP')
      stopped.push(backend!.pid)
      const writers = startWriters(server.address, token)
      await sleep(5000)
      await writers.stop()
      expect(writers.faults).toEqual([])
      expect(writers.statuses[503] ?? 0).toBeLessThanOrEqual(1)
      for (const [status, count] of Object.entries(writers.statuses))
        statuses[Number(status)] = (statuses[Number(status)] ?? 0) + count
      slowest = Math.max(slowest, writers.slowest())
    }
    for (const pid of stopped) process.kill(pid, 'SIGCONT')

    expect(slowest).toBeLessThan(6000)
    return {
      done: `${stopped.length} backends, one after another, and 16 clients that write`,
      seen: `${statuses[201]} times 201 and ${statuses[503] ?? 0} times 503, after ${(slowest / 1000).toFixed(1)} s at most, with a limit of 3 s`,
    }
  },
)

fault(
  'the connection cut in the middle of COMMIT',
  {
    promise: 'The answer is 503; the transaction happened or it did not, and nothing of it is half done',
    on: ['postgresql'],
  },
  async ({ project }) => {
    const postgresql = await Postgresql.start()
    const proxy = await Proxy.start(postgresql.port)
    const server = await Server.start(project, proxy.through(postgresql.url))
    await register(server.address)
    const cuts = 20
    for (let cut = 0; cut < cuts; cut++) {
      // Half of them before it reaches the database, half before the answer comes back.
      proxy.cutAt(/commit/i, cut % 2 === 0 ? 'before' : 'after')
      const person = { password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }
      const email = `${randomUUID()}@example.com`
      const answer = await send(`${server.address}/api/v1/auth/register`, { body: { ...person, email } })
      expect(answer).toMatchObject({
        status: 503,
        headers: { 'retry-after': expect.stringMatching(/^\d+$/) as string },
      })
    }
    const [counts] = await postgresql.query<{ users: number; alone: number }>(`
      select count(*)::integer as users, count(*) filter (where sessions.id is null)::integer as alone
      from users left join sessions on sessions.user_id = users.id`)
    // The first is the one that was registered in peace.
    expect(counts).toEqual({ users: 1 + cuts / 2, alone: 0 })
    return {
      done: `${cuts} registrations, half of them cut before it arrived, half before its answer did`,
      seen: `${cuts} times 503; ${cuts / 2} accounts, each with its session, and ${cuts / 2} of which there is nothing`,
    }
  },
)
