import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { securityHeaders } from '../../src/core/http/requests.ts'
import { useApi } from '../support/api.ts'

const api = useApi('sqlite')

/** Sends bytes as they are and gives all that comes back until the server hangs up. */
async function send(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(api.address).port), '127.0.0.1')
  socket.write(bytes)
  return text(socket)
}

function parse(reply: string) {
  const [head = '', body = ''] = reply.split('\r\n\r\n')
  const [statusLine = '', ...lines] = head.split('\r\n')
  const headers: Record<string, string> = Object.fromEntries(
    lines.map((line) => line.split(': ')).map(([name = '', value = '']) => [name.toLowerCase(), value]),
  )
  return { status: Number(statusLine.split(' ')[1]), headers, body: JSON.parse(body) as unknown }
}

const request = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`
const get = 'GET /health HTTP/1.1'
const post = ['POST /api/v1/auth/logout HTTP/1.1', 'Host: x', 'Content-Type: application/json']
/** What an attacker would slip in behind a request whose end is in doubt. */
const smuggled = request(get, 'Host: x', 'Connection: close')

test.for([
  ['a length and chunks', request(...post, 'Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n'],
  ['chunks and a length', request(...post, 'Transfer-Encoding: chunked', 'Content-Length: 5') + '0\r\n\r\n'],
  ['two lengths', request(...post, 'Content-Length: 2', 'Content-Length: 3') + '{}'],
  ['the same length twice', request(...post, 'Content-Length: 2', 'Content-Length: 2') + '{}'],
  ['a list of lengths', request(...post, 'Content-Length: 2, 2') + '{}'],
  ['a length with a sign', request(...post, 'Content-Length: +2') + '{}'],
  ['a negative length', request(...post, 'Content-Length: -2') + '{}'],
  ['an unknown transfer coding', request(...post, 'Transfer-Encoding: xchunked') + '0\r\n\r\n'],
  ['chunks that are not last', request(...post, 'Transfer-Encoding: chunked, identity') + '0\r\n\r\n'],
  ['a coding beneath the chunks', request(...post, 'Transfer-Encoding: gzip, chunked') + '2\r\n{}\r\n0\r\n\r\n'],
  ['a chunk size that is no number', request(...post, 'Transfer-Encoding: chunked') + 'zz\r\n{}\r\n0\r\n\r\n'],
  ['chunks that end with a bare line feed', request(...post, 'Transfer-Encoding: chunked') + '2\n{}\n0\n\n'],
  ['bare line feeds throughout', `${get}\nHost: x\n\n`],
  ['a bare line feed after the first line', `${get}\nHost: x\r\n\r\n`],
  ['a bare line feed after a header', `${get}\r\nHost: x\nA: b\r\n\r\n`],
  ['a bare carriage return in a header', request(get, 'Host: x', 'A: b\rc')],
  ['a folded header', request(get, 'Host: x', 'A: b', ' c')],
  ['a space before the colon', request(get, 'Host: x', 'A : b')],
  ['a NUL in a header', request(get, 'Host: x', 'A: b\0c')],
  ['no host', request(get, 'A: b')],
  ['two hosts', request(get, 'Host: x', 'Host: y')],
  ['the same host twice', request(get, 'Host: x', 'Host: x')],
  ['a path that cannot be decoded, and two hosts', request('GET /%zz HTTP/1.1', 'Host: x', 'Host: y')],
  ['an unknown protocol', request('GET /health HTTP/9.9', 'Host: x')],
  ['an unknown method', request('BREW /health HTTP/1.1', 'Host: x')],
  ['bytes outside ASCII in the path', request('GET /caf\u00e9 HTTP/1.1', 'Host: x')],
])('a request with %s gets one 400 and a closed connection', async ([, bytes]) => {
  const reply = await send(bytes! + smuggled)
  expect(reply.match(/^HTTP\/1\.1 /gm)).toHaveLength(1)
  const { status, headers, body } = parse(reply)
  expect(status).toBe(400)
  expect(headers).toMatchObject({ ...securityHeaders, connection: 'close' })
  expect(body).toMatchObject({ success: false, code: 'bad_request', request_id: headers['x-request-id'] })
})

test('an expectation that is not met gets 417, and the connection goes on', async () => {
  const reply = await send(request(get, 'Host: x', 'Expect: the-impossible') + smuggled)
  const [refusal, next] = reply.split(/(?=HTTP\/1\.1 200)/)
  const { status, headers, body } = parse(refusal!)
  expect(status).toBe(417)
  expect(headers).toMatchObject(securityHeaders)
  expect(body).toMatchObject({ success: false, code: 'expectation_failed', request_id: headers['x-request-id'] })
  expect(next).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
})

test('a client that waits for 100 before it sends its body gets it', async () => {
  const body = '{"refresh_token": "none"}'
  const socket = connect(Number(new URL(api.address).port), '127.0.0.1')
  socket.write(request(...post, 'Connection: close', 'Expect: 100-continue', `Content-Length: ${body.length}`))
  const [first] = (await once(socket, 'data')) as [Buffer]
  expect(first.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  socket.write(body)
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
})

test('a request that does not arrive is ended with 408', async () => {
  // The server looks once a second; the limit itself is shortened so that the test need not wait for it.
  expect(api.app.server).toMatchObject({ headersTimeout: 10_000, requestTimeout: 30_000 })
  onTestFinished(() => void (api.app.server.headersTimeout = 10_000))
  api.app.server.headersTimeout = 1
  const reply = parse(await send('GET /health HTTP/1.1\r\nHost: x\r\nA: '))
  expect(reply).toMatchObject({ status: 408, headers: securityHeaders, body: { code: 'request_timeout' } })
})

test('a client that hangs up early does no harm', async () => {
  const socket = connect(Number(new URL(api.address).port), '127.0.0.1')
  socket.write(`${request(...post, 'Content-Length: 1000')}{"half`, () => socket.resetAndDestroy())
  await once(socket, 'close')
  expect((await api.get('/health')).status).toBe(200)
})

test('bytes that follow a whole request do not take the place of its answer', async () => {
  const { access_token } = await api.account()
  const body = '{"name": "Made and answered"}'
  const create = [
    'POST /api/v1/items HTTP/1.1',
    'Host: x',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  const reply = await send(request(...create, `Authorization: Bearer ${access_token}`) + body + 'GARBAGE\r\n\r\n')
  expect(reply.match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 201'])
})

test('a request that was answered before its body broke gets no second answer', async () => {
  const socket = connect(Number(new URL(api.address).port), '127.0.0.1')
  let reply = ''
  socket.on('data', (chunk) => (reply += chunk.toString()))
  socket.write(request('POST /api/v1/items HTTP/1.1', 'Host: x', 'Transfer-Encoding: chunked'))
  await once(socket, 'data')
  socket.write('no size\r\n')
  await once(socket, 'close')
  expect(reply.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 401'])
})

test('a client that goes away in the middle of its body is no fault of the server', async () => {
  const socket = connect(Number(new URL(api.address).port), '127.0.0.1')
  socket.write(request(...post, 'Content-Length: 100', 'X-Request-Id: left-early') + '{')
  await once(socket, 'ready')
  socket.destroy()
  await once(socket, 'close')
  expect((await api.get('/health')).status).toBe(200)
  expect(api.log.filter(({ level }) => level === 'error')).toEqual([])
})
