import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { sql } from 'kysely'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import { createLogger } from '../../src/core/logging.ts'
import { createServices } from '../../src/wiring.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { useFailures, withFailures } from '../support/failures.ts'
import { idOf } from '../support/sessions.ts'
import { settings } from '../support/settings.ts'

const auth = '/api/v1/auth'
const me = '/api/v1/users/me'

/** What fails is not recorded, and what cannot be recorded does not happen. */
onEachDatabase((kind) => {
  useFailures()
  const api = useApi(kind)

  /** Everything that the operations below write. */
  async function content() {
    const tables = ['users', 'sessions', 'items', 'audit_events'] as const
    const rows = tables.map((table) => api.database.query().selectFrom(table).selectAll().orderBy('id').execute())
    return Promise.all(rows)
  }

  interface Operation {
    method: 'POST' | 'PATCH' | 'DELETE'
    path: string
    body?: object
    token?: string
  }
  /** What writes in a transaction, or in one statement; each is made anew for each attempt. */
  const operations: Record<string, () => Promise<Operation>> = {
    register: async () => ({
      method: 'POST',
      path: `${auth}/register`,
      body: {
        email: `${randomUUID()}@example.com`,
        password: 'correct horse battery',
        first_name: 'Ada',
        last_name: 'Lovelace',
      },
    }),
    login: async () => {
      const { email, password } = await api.account()
      return { method: 'POST', path: `${auth}/login`, body: { email, password } }
    },
    refresh: async () => {
      const { refresh_token } = await api.account()
      return { method: 'POST', path: `${auth}/refresh`, body: { refresh_token } }
    },
    logout: async () => {
      const { refresh_token } = await api.account()
      return { method: 'POST', path: `${auth}/logout`, body: { refresh_token } }
    },
    'logout-all': async () => {
      const { access_token: token } = await api.account()
      return { method: 'POST', path: `${auth}/logout-all`, token }
    },
    'ending a session': async () => {
      const account = await api.account()
      return { method: 'DELETE', path: `${auth}/sessions/${idOf(account)}`, token: account.access_token }
    },
    'changing the password': async () => {
      const { email, password, access_token: token } = await api.account()
      await api.post(`${auth}/login`, { email, password })
      const body = { old_password: password, new_password: 'a new password' }
      return { method: 'POST', path: `${me}/password`, body, token }
    },
    deactivating: async () => {
      const { access_token: token } = await api.account()
      return { method: 'POST', path: `${me}/deactivate`, token }
    },
    'deleting an item': async () => {
      const { access_token: token } = await api.account()
      const { headers } = await api.post('/api/v1/items', { name: 'Mine' }, { token })
      return { method: 'DELETE', path: headers.get('location')!, token }
    },
  }
  /** Those that are recorded where they succeed. */
  const recordedOnes = Object.entries(operations).filter(([name]) => !['refresh', 'deleting an item'].includes(name))

  /** Another application over this database, and what it logs. */
  async function startApp() {
    const config = settings({ LOG_LEVEL: 'silent' })
    const lines: string[] = []
    const log = await createLogger(config, { write: (line) => void lines.push(line) })
    const app = await createApp(config, createServices(config, api.database, log), log)
    onTestFinished(() => app.close())
    const send = async ({ method, path, body, token }: Operation) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
      return (await app.inject({ method, url: path, headers, ...(body && { body }) })).statusCode
    }
    return { send, lines }
  }

  test.for(Object.entries(operations))(
    'a fault at any statement of %s leaves no part of it, and no word in the log (ASVS 2.3.3)',
    async ([, prepare]) => {
      const { send, lines } = await startApp()
      const attempt = async (failing: number) => {
        const operation = await prepare()
        const before = await content()
        const told = lines.length
        const { result, steps } = await withFailures(
          (step) => (step === failing ? { kind: 'bug', when: 'before' } : undefined),
          () => send(operation),
        )
        const isDone = result.status === 'fulfilled' && result.value < 300
        const isUntouched = isDeepStrictEqual(await content(), before)
        return { steps, isDone, isUntouched, isTold: lines.length > told }
      }
      // Without a fault: the others are good requests.
      const { steps: all, ...whole } = await attempt(Infinity)
      expect(whole).toMatchObject({ isDone: true, isUntouched: false })
      expect(all.length).toBeGreaterThan(1)
      for (const [failing] of all.entries()) {
        const { steps, ...nothing } = await attempt(failing)
        expect(steps).toEqual(all.slice(0, failing + 1))
        expect(nothing).toEqual({ isDone: false, isUntouched: true, isTold: false })
      }
    },
  )

  describe('when the commit itself fails (ASVS 2.3.3)', () => {
    // A row that points nowhere, which is noticed at the end of the transaction.
    const table = sql`create table doomed (parent integer references users (id) deferrable initially deferred)`
    const doom = {
      sqlite: [sql`create trigger doom after insert on audit_events begin insert into doomed values (-1); end`],
      postgresql: [
        sql`create function doom() returns trigger as $$ begin insert into doomed values (-1); return new; end $$ language plpgsql`,
        sql`create trigger doom after insert on audit_events for each row execute function doom()`,
      ],
    }
    const mend = {
      sqlite: [sql`drop trigger if exists doom`, sql`drop table if exists doomed`],
      postgresql: [sql`drop function if exists doom cascade`, sql`drop table if exists doomed`],
    }
    const run = async (statements: ReturnType<typeof sql>[]) => {
      for (const statement of statements) await statement.execute(api.database.query())
    }
    afterEach(() => run(mend[kind]))

    test.for(recordedOnes)('%s is neither done nor told', async ([, prepare]) => {
      const { send, lines } = await startApp()
      const operation = await prepare()
      const before = await content()
      await run([table, ...doom[kind]])
      expect(await send(operation)).toBe(500)
      expect(await content()).toEqual(before)
      expect(lines).toEqual([])
      await run(mend[kind])
      expect(await send(operation)).toBeLessThan(300)
      expect(lines).toHaveLength(1)
    })
  })
})
