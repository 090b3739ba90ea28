import { Agent } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import fastify from 'fastify'
import { expect, onTestFinished, test, vi } from 'vitest'
import { UnavailableError } from '../../src/core/errors.ts'
import { shedOverload } from '../../src/core/http/overload.ts'
import { openDatabase } from '../../src/db/database.ts'
import { useApi } from '../support/api.ts'
import { ask } from '../support/clients.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'

const times = <T>(count: number, work: () => Promise<T>) => Promise.all(Array.from({ length: count }, work))

onEachDatabase((kind) => {
  const strict = useApi(kind, { OVERLOAD_DELAY_MS: '1' })
  const off = useApi(kind, { OVERLOAD_DELAY_MS: '0' })

  test('what is too much is refused with 503 and Retry-After, probes are answered, and then all is as before', async () => {
    expect((await strict.get('/api/v1/items')).status).toBe(200)

    // Without a pause: a single burst is no overload.
    let refused: Awaited<ReturnType<typeof strict.get>> | undefined
    await times(50, async () => {
      while (!refused) {
        const reply = await strict.get('/api/v1/items')
        if (reply.status === 503) refused ??= reply
      }
    })
    const { body, headers } = refused!
    expect(body).toMatchObject({ success: false, code: 'unavailable', request_id: expect.any(String) })
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(headers.get('x-request-id')).toBe(body.request_id)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(strict.log).toContainEqual(expect.objectContaining({ msg: 'overloaded: requests are refused' }))

    const all = times(200, () => strict.get('/api/v1/items'))
    // Two hosts: a proxy may see another request behind it.
    const doubtful = `GET /api/v1/items HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n`
    const socket = connect(Number(new URL(strict.address).port), '127.0.0.1').end(doubtful)
    expect((await text(socket)).match(/^HTTP\/1\.1 \d+/gm)).toEqual([expect.stringMatching(/ (503|400)$/)])
    for (const probe of ['/health', '/health/live', '/health?x=1'])
      for (const { status } of await times(20, () => strict.get(probe))) expect(status).toBe(200)
    await all

    await vi.waitFor(async () => expect((await strict.get('/api/v1/items')).status).toBe(200))
    expect(strict.log).toContainEqual(expect.objectContaining({ msg: 'no longer overloaded' }))
  })

  test('a server that is told not to refuse answers everyone', async () => {
    for (let round = 0; round < 5; round++)
      for (const { status } of await times(100, () => off.get('/api/v1/items'))) expect(status).toBe(200)
  })

  test('a statement that would stand too far back in the line for a connection is refused at once', async () => {
    const database = openDatabase(
      settings({ DATABASE_URL: await freshDatabase(kind), DATABASE_POOL_SIZE: '1', DATABASE_QUEUE_SIZE: '2' }),
    )
    await database.ping()
    const waits: Promise<void>[] = []
    await database.transaction(async () => {
      // A ping joins no transaction.
      waits.push(database.ping(), database.ping())
      await expect(database.ping()).rejects.toThrow(UnavailableError)
      expect(database.engine.delay()).toBeGreaterThan(0)
    })
    await Promise.all(waits)
    expect(database.engine.delay()).toBe(0)
    await database.ping()
    await database.close()
  })
})

test('who is refused by a server that is stopping is told to go elsewhere', async () => {
  const app = fastify()
  app.decorate('isStopping', true)
  shedOverload(app, { OVERLOAD_DELAY_MS: 100 }, () => 1000, app.log)
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => {
    agent.destroy()
    return app.close()
  })
  const { headers } = await vi.waitFor(async () => {
    const answer = await ask(address, agent)
    expect(answer.statusCode).toBe(503)
    return answer
  }, 10_000)
  expect(headers.connection).toBe('close')
})
