import { once } from 'node:events'
import { request, type IncomingMessage, type ServerResponse } from 'node:http'
import fastify from 'fastify'
import { expect, test } from 'vitest'
import { limitTime } from '../../src/core/http/time-limit.ts'

test('an answer that a handler writes by itself is left alone', async () => {
  const log: string[] = []
  const app = fastify({ logger: { level: 'warn', stream: { write: (line) => void log.push(line) } } })
  limitTime(app, 1)
  const answers: ServerResponse[] = []
  const begin = (answer: ServerResponse) => {
    answers.push(answer)
    answer.write('begun, ')
  }
  app.get('/hijacked', (_request, reply) => begin(reply.hijack().raw))
  app.get('/raw', (_request, reply) => begin(reply.raw))
  app.get('/never', () => {})
  const address = await app.listen()

  const begun = [await fetch(`${address}/hijacked`), await fetch(`${address}/raw`)]
  // It came last: when its time is over, so is theirs.
  expect((await fetch(`${address}/never`)).status).toBe(500)
  for (const answer of answers) answer.end('ended')
  for (const answer of begun) expect(await answer.text()).toBe('begun, ended')
  expect(log.filter((line) => !line.includes('The request took too long'))).toEqual([])
  await app.close()
})

test('a request that arrives slowly is looked at again when it has arrived', async () => {
  // Fastify takes no time of requests that it does not log.
  const app = fastify({ logger: { level: 'silent' } })
  limitTime(app, 1)
  app.post('/never', () => {})
  app.get('/never', () => {})
  const address = await app.listen()

  const options = { method: 'POST', headers: { 'content-type': 'application/json' }, agent: false }
  const slow = request(`${address}/never`, options)
  slow.write('{')
  expect((await fetch(`${address}/never`)).status).toBe(500)
  slow.end('}')
  const [answer] = (await once(slow, 'response')) as [IncomingMessage]
  await once(answer.resume(), 'end')
  expect(answer.statusCode).toBe(500)
  await app.close()
})
