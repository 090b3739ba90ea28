import { expect, onTestFinished, test } from 'vitest'
import { createEncryption } from '../../src/core/security/encryption.ts'
import { reencrypt } from '../../src/db/reencrypt.ts'
import { Api } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'

interface Tokens {
  access_token: string
  refresh_token: string
}

const refreshKeys = ['a refresh key of 32 bytes or more: 1', 'a refresh key of 32 bytes or more: 2'] as const
const accessKeys = ['an access key of 32 bytes or more: 1', 'an access key of 32 bytes or more: 2'] as const
const fernetKeys = [
  'cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=',
  'D7favuAZ-p0P4LxVUUXi0gMhbl_SeIX3qdr-ZzKVzjk=',
] as const

/** The settings under one key of each kind, and perhaps another that is accepted as well. */
const keys = (first: 0 | 1, second?: 0 | 1) => ({
  SECRET_KEY: refreshKeys[first],
  JWT_SECRET_KEY: accessKeys[first],
  ENCRYPTION_KEY: fernetKeys[first],
  ...(second !== undefined && {
    SECRET_KEY_PREVIOUS: refreshKeys[second],
    JWT_SECRET_KEY_PREVIOUS: accessKeys[second],
    ENCRYPTION_KEY: `${fernetKeys[first]},${fernetKeys[second]}`,
  }),
})

onEachDatabase((kind) => {
  async function setUp() {
    const DATABASE_URL = await freshDatabase(kind)
    return async (settings: Record<string, string>) => {
      const server = new Api()
      await server.start(kind, { ...settings, DATABASE_URL })
      onTestFinished(() => server.stop())
      return server
    }
  }

  /** What a client does: looks at its sessions, and refreshes. Gives the new tokens. */
  async function use(server: Api, { access_token: token, refresh_token }: Tokens): Promise<Tokens> {
    const list = await server.get('/api/v1/auth/sessions', { token })
    expect(list.status).toBe(200)
    expect(list.body.data.map(({ ip }: { ip: string }) => ip)).toContain('127.0.0.1')
    const renewed = await server.post('/api/v1/auth/refresh', { refresh_token })
    expect(renewed.status).toBe(200)
    return renewed.body.data as Tokens
  }

  test('every key is replaced under live sessions, server by server, and nobody is signed out (ASVS 11.2.2)', async () => {
    const serve = await setUp()
    const old = await serve(keys(0))
    const clients: Tokens[] = []
    for (let client = 0; client < 3; client++) clients.push(await old.account())
    /** Each client meets each of the servers, as behind a proxy. */
    const everyoneUses = async (...servers: Api[]) => {
      for (const server of servers)
        for (const [index, tokens] of clients.entries()) clients[index] = await use(server, tokens)
    }

    // First all learn to read what is made with the new keys; then they make it, one after the other.
    const prepared = await serve(keys(0, 1))
    await everyoneUses(old, prepared, old)
    const changed = await serve(keys(1, 0))
    await everyoneUses(prepared, changed, prepared, changed)

    const { database } = changed
    const encryption = createEncryption([fernetKeys[1], fernetKeys[0]])
    const done = await reencrypt(database, encryption)
    expect(done.find(({ column }) => column === 'sessions.ip')).toEqual({
      column: 'sessions.ip',
      renewed: 3,
      current: 0,
      unreadable: 0,
    })
    await everyoneUses(changed)

    // Everything is under the new keys now: the old ones can go.
    const done2 = await reencrypt(database, createEncryption([fernetKeys[1]]))
    expect(done2.map(({ renewed, unreadable }) => renewed + unreadable)).toEqual(done2.map(() => 0))
    await everyoneUses(await serve(keys(1)))
  })

  test('tokens of a key that was dropped are refused', async () => {
    const serve = await setUp()
    const tokens = await (await serve(keys(0))).account()
    const server = await serve(keys(1))
    expect((await server.get('/api/v1/users/me', { token: tokens.access_token })).body.code).toBe('invalid_token')
    const { refresh_token } = tokens
    expect((await server.post('/api/v1/auth/refresh', { refresh_token })).body.code).toBe('invalid_token')
  })
})
