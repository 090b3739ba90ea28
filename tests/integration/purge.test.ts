import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, test, vi } from 'vitest'
import { repeat } from '../../src/core/repeat.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'

const day = 24 * 60 * 60

onEachDatabase((kind) => {
  const api = useApi(kind, { RATE_LIMIT_ENABLED: 'true' })

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

    expect(await services.purge.run()).toEqual({ sessions: 3, throttles: 1, audit_events: 0 })
    expect(await services.purge.run()).toEqual({ sessions: 0, throttles: 0, audit_events: 0 })
    expect((await api.get('/api/v1/users/me', { token: live!.access_token })).status).toBe(200)
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
