import fastify from 'fastify'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { Actor } from '../../src/core/actor.ts'
import { UnauthorizedError } from '../../src/core/errors.ts'
import { authenticated, can, open, optional, verified, requireGuards } from '../../src/core/http/guards.ts'
import { handleError } from '../../src/core/http/responses.ts'
import { createLogger } from '../../src/core/logging.ts'
import { openDatabase } from '../../src/db/database.ts'
import { createServices } from '../../src/wiring.ts'
import { settings } from '../support/settings.ts'

/** Who comes with which token. */
const actors: Record<string, Pick<Actor, 'role' | 'is_verified'>> = {
  newcomer: { role: 'user', is_verified: false },
  member: { role: 'user', is_verified: true },
  moderator: { role: 'moderator', is_verified: true },
  owner: { role: 'super_admin', is_verified: false },
}

const app = fastify()
app.setErrorHandler(handleError)
requireGuards(app)
app.decorate('authenticate', async (token) => {
  const actor = actors[token]
  if (!actor) throw new UnauthorizedError('invalid_token', 'The access token is not valid')
  return { id: 1, public_id: token, session_id: token, ...actor }
})
const guards = { open, optional, authenticated, verified, moderation: can('items:delete') }
for (const [name, guard] of Object.entries(guards))
  app.post(`/${name}`, { onRequest: guard }, async ({ caller }) => ({ who: caller?.public_id ?? 'a stranger' }))

const ask = (path: string, authorization?: string) =>
  app.inject({ method: 'POST', url: path, headers: authorization === undefined ? {} : { authorization } })

/** The status for a stranger, for a bad token, and for each actor. */
async function answers(path: string) {
  const tokens = ['bad', ...Object.keys(actors)]
  const replies = await Promise.all([ask(path), ...tokens.map((token) => ask(path, `Bearer ${token}`))])
  return Object.fromEntries(['stranger', ...tokens].map((name, index) => [name, replies[index]!.statusCode]))
}

const everyone = { stranger: 200, bad: 200, newcomer: 200, member: 200, moderator: 200, owner: 200 }

test('open lets everyone in and reads no token: a client with a dead one must be able to sign in', async () => {
  expect(await answers('/open')).toEqual(everyone)
  expect((await ask('/open', 'Bearer member')).json()).toEqual({ who: 'a stranger' })
})

test('optional lets strangers in, but not a bad token', async () => {
  expect(await answers('/optional')).toEqual({ ...everyone, bad: 401 })
  expect((await ask('/optional', 'Bearer member')).json()).toEqual({ who: 'member' })
})

test('authenticated asks for a token', async () => {
  expect(await answers('/authenticated')).toEqual({ ...everyone, stranger: 401, bad: 401 })
})

test('verified asks for a verified e-mail address', async () => {
  expect(await answers('/verified')).toEqual({ ...everyone, stranger: 401, bad: 401, newcomer: 403, owner: 403 })
})

test('can asks for a permission', async () => {
  expect(await answers('/moderation')).toEqual({ ...everyone, stranger: 401, bad: 401, newcomer: 403, member: 403 })
})

describe('the Authorization header', () => {
  test.for(['Bearer member', 'bearer member', 'BEARER member', 'Bearer  member'])('%j is read', async (header) => {
    expect((await ask('/authenticated', header)).statusCode).toBe(200)
  })

  test.for(['member', 'Basic bWVtYmVyOg==', 'Bearermember', ''])(
    '%j is no Bearer token: the challenge names no error (RFC 6750 §3.1)',
    async (header) => {
      const { statusCode, headers, json } = await ask('/authenticated', header)
      expect([statusCode, json().code]).toEqual([401, 'unauthorized'])
      expect(headers['www-authenticate']).toBe('Bearer realm="api"')
    },
  )

  test.for(['Bearer bad', 'Bearer member, Bearer owner', 'Bearer member owner'])(
    '%j is a bad token: the challenge says so (RFC 6750 §3.1)',
    async (header) => {
      const { statusCode, headers, json } = await ask('/authenticated', header)
      expect([statusCode, json().code]).toEqual([401, 'invalid_token'])
      expect(headers['www-authenticate']).toContain('error="invalid_token"')
    },
  )
})

test('the body of a stranger is not even read', async () => {
  const reply = await app.inject({
    method: 'POST',
    url: '/authenticated',
    body: '{broken',
    headers: { 'content-type': 'application/json' },
  })
  expect(reply.statusCode).toBe(401)
})

test('the application does not take a route that declares no guard (ASVS 8.2.1)', async () => {
  const config = settings({ DATABASE_URL: 'sqlite:///:memory:', LOG_LEVEL: 'silent' })
  const database = openDatabase(config)
  const log = await createLogger(config)
  const whole = await createApp(config, createServices(config, database, log), log)
  expect(() => whole.get('/open-by-mistake', async () => 'secret')).toThrow('GET /open-by-mistake declares no guard')
  await whole.close()
  await database.close()
})
