import { existsSync, writeFileSync } from 'node:fs'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { openDatabase } from '../../src/db/database.ts'
import { ask, askUntilClosed, beginRegistration, untilRefused } from '../support/clients.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { environment, settings } from '../support/settings.ts'

onEachDatabase((kind) => {
  const project = useProject()
  const signal = { sqlite: 'SIGTERM', postgresql: 'SIGINT' } as const

  test('a stop under load fails no request, finishes what runs, closes the database and exits with 0', async () => {
    const url = await freshDatabase(kind)
    const program = project.start({ ...environment, NODE_ENV: 'production', DATABASE_URL: url })
    const address = await program.address()
    const clients = Array.from({ length: 8 }, () => askUntilClosed(address))
    const running = await beginRegistration(address, 'last@example.com')

    program.kill(signal[kind])
    await program.seen(/"stopping"/)
    await untilRefused(address)
    for (const statuses of await Promise.all(clients)) expect(new Set(statuses)).toEqual(new Set([200]))
    const head = await running.finish()
    expect(head).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
    // It was running already: only its answer can tell the client not to ask again here.
    expect(head).toMatch(/\r\nconnection: close/i)
    expect(await program.ended).toBe(0)
    expect(program.output).not.toMatch(/"level":"(warn|error|fatal)"/)

    // SQLite folds its log into the file when the last connection is closed properly.
    expect(kind === 'sqlite' && existsSync(`${url.slice('sqlite:///'.length)}-wal`)).toBe(false)
    const database = openDatabase(settings({ DATABASE_URL: url }))
    const users = await database.query().selectFrom('users').select('email').execute()
    await database.close()
    expect(users).toEqual([{ email: 'last@example.com' }])
  })
})

describe('a server', () => {
  const project = useProject()
  let production: Record<string, string>
  beforeAll(async () => {
    production = { ...environment, NODE_ENV: 'production', DATABASE_URL: await freshDatabase('sqlite') }
  })

  test('cuts requests that outlast the limit, and still ends cleanly', async () => {
    const program = project.start({ ...production, SHUTDOWN_TIMEOUT_SECONDS: '1' })
    const running = await beginRegistration(await program.address(), 'cut@example.com')
    expect(await program.stop()).toBe(0)
    await running.closed
  })

  test.for(['1', '2'])(
    'with SHUTDOWN_DELAY_SECONDS says that it is not ready and goes on for so long, with WEB_CONCURRENCY=%s',
    async (workers) => {
      const more = { SHUTDOWN_DELAY_SECONDS: '3', SHUTDOWN_TIMEOUT_SECONDS: '1', WEB_CONCURRENCY: workers }
      const program = project.start({ ...production, ...more })
      const address = await program.address()
      await vi.waitFor(() => expect(program.output.match(/Server listening/g)).toHaveLength(Number(workers)), 10_000)
      const begin = performance.now()
      program.kill('SIGTERM')
      await vi.waitFor(async () => expect((await ask(`${address}/health/ready`)).statusCode).toBe(503), 10_000)
      for (const path of ['/api/v1/items', '/health/live']) {
        const { statusCode, headers } = await ask(address + path, new Agent({ keepAlive: true }))
        expect({ statusCode, connection: headers.connection }).toEqual({ statusCode: 200, connection: 'close' })
      }
      expect(await program.ended).toBe(0)
      expect(performance.now() - begin).toBeGreaterThan(3000)
      await untilRefused(address)
    },
  )

  test('does not wait for proxies at a terminal, nor for a worker that is replaced', async () => {
    const program = project.start({ ...production, SHUTDOWN_DELAY_SECONDS: '60', WEB_CONCURRENCY: '2' })
    const address = await program.address()
    await vi.waitFor(() => expect(program.output.match(/a worker listens/g)).toHaveLength(2), 10_000)
    program.kill('SIGHUP')
    await program.seen(/all workers replaced/)
    expect((await ask(`${address}/health/ready`)).statusCode).toBe(200)
    program.kill('SIGINT')
    expect(await program.ended).toBe(0)
  })

  test('ends at once at a second signal', async () => {
    const program = project.start({ ...production, SHUTDOWN_TIMEOUT_SECONDS: '600' })
    await beginRegistration(await program.address(), 'impatient@example.com')
    program.kill('SIGINT')
    await program.seen(/"stopping"/)
    // One at once is npm passing on what the terminal sent to all.
    program.kill('SIGINT')
    await sleep(600)
    program.kill('SIGINT')
    expect(await program.ended).toBe(1)
  })

  test('outlives a promise that nobody awaited, and ends after an exception that nobody caught', async () => {
    writeFileSync(
      project.path('faults.js'),
      `process.on('SIGUSR2', () => void Promise.reject(new Error('nobody awaited this')))
       process.on('SIGHUP', () => { throw new Error('nobody caught this') })`,
    )
    const program = project.start(production, '--import', './faults.js')
    const address = await program.address()
    program.kill('SIGUSR2')
    await program.seen(/"level":"error".*nobody awaited this/)
    const { statusCode } = await ask(`${address}/health/ready`)
    expect(statusCode).toBe(200)

    const running = await beginRegistration(address, 'survivor@example.com')
    program.kill('SIGHUP')
    await program.seen(/"level":"fatal".*nobody caught this/)
    await untilRefused(address)
    expect(await running.finish()).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
    expect(await program.ended).toBe(1)
  })
})
