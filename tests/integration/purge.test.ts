import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { beforeAll, expect, test, vi } from 'vitest'
import { repeat } from '../../src/core/repeat.ts'
import { Api } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { useProject } from '../support/process.ts'
import { environment } from '../support/settings.ts'

const day = 24 * 60 * 60

onEachDatabase((kind) => {
  const [api, other] = [new Api(), new Api()]
  const project = useProject()
  let url: string
  beforeAll(async () => {
    url = await freshDatabase(kind)
    for (const server of [api, other]) await server.start(kind, { DATABASE_URL: url, RATE_LIMIT_ENABLED: 'true' })
    return async () => void (await Promise.all([api.stop(), other.stop()]))
  })

  test('sessions that ended long ago and forgotten failures are deleted, the others are kept', async () => {
    const { database, services } = api
    const [live, fresh, revoked, expired, idle] = await Promise.all(Array.from({ length: 5 }, () => api.account()))
    const change = async (token: string, changes: object) => {
      const [session] = (await api.get('/api/v1/auth/sessions', { token })).body.data
      await database.query().updateTable('sessions').set(changes).where('public_id', '=', session.public_id).execute()
    }
    const reason = { revoke_reason: 'logout' as const }
    await change(fresh!.access_token, { ...reason, revoked_at: database.clock(-29 * day) })
    await change(revoked!.access_token, { ...reason, revoked_at: database.clock(-31 * day) })
    await change(expired!.access_token, { expires_at: database.clock(-31 * day) })
    await change(idle!.access_token, { idle_expires_at: database.clock(-31 * day) })
    const attempts = [{ updated_at: database.clock(-2 * day) }, { updated_at: database.clock() }]
    const rows = attempts.map((attempt) => ({ key: randomUUID(), until: database.clock(), ...attempt }))
    await database.query().insertInto('throttles').values(rows).execute()

    expect(await services.purge.run()).toEqual({ sessions: 3, throttles: 1, idempotency_keys: 0, audit_events: 0 })
    expect(await services.purge.run()).toEqual({ sessions: 0, throttles: 0, idempotency_keys: 0, audit_events: 0 })
    expect((await api.get('/api/v1/users/me', { token: live!.access_token })).status).toBe(200)
  })

  test('an audit event is deleted when its time is over, and not before', async () => {
    const { database, services } = api
    await api.account()
    const event = { event: 'login.failed', user_agent: 'old', kept_until: database.clock(-1) }
    await database.query().insertInto('audit_events').values(event).execute()
    const before = await database.query().selectFrom('audit_events').selectAll().execute()
    expect(await services.purge.run()).toMatchObject({ audit_events: 1 })
    const after = await database.query().selectFrom('audit_events').selectAll().execute()
    expect(after).toEqual(before.filter(({ user_agent }) => user_agent !== 'old'))
  })

  test('of several servers one does it, once in an hour', async () => {
    const { database, services } = api
    const old = () => ({ event: 'login.failed', kept_until: database.clock(-1) })
    const rounds = []
    for (let round = 0; round < 2; round++) {
      await database.query().insertInto('audit_events').values(old()).execute()
      const jobs = Array.from({ length: 10 }, (_, index) => (index % 2 ? services : other.services).purge.runIfDue())
      rounds.push((await Promise.all(jobs)).filter((deleted) => deleted !== undefined))
    }
    expect(rounds).toEqual([[{ sessions: 0, throttles: 0, idempotency_keys: 0, audit_events: 1 }], []])
  })

  test('an operator deletes it all by a command', async () => {
    await api.database
      .query()
      .insertInto('audit_events')
      .values({ event: 'login.failed', kept_until: api.database.clock(-1) })
      .execute()
    expect(await project.app(['sessions', 'purge'], { ...environment, DATABASE_URL: url })).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^sessions\t0\nthrottles\t0\nidempotency_keys\t0\naudit_events\t[12]\n$/),
    })
  })
})

test('a job that fails is told, and runs again', async () => {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  let runs = 0
  repeat(() => (++runs === 1 ? Promise.reject(new Error('once')) : Promise.resolve({ runs })), 1, log)
  await vi.waitFor(() => expect(runs).toBeGreaterThan(1))
  await sleep(5)
  expect(lines[0]).toContain('once')
  expect(lines[1]).toContain('job done')
})
