import { beforeAll, expect, test } from 'vitest'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { itemSorts } from '../../src/models/enums.ts'
import { createAuditRepository } from '../../src/repositories/audit.repository.ts'
import { createIdempotencyKeyRepository } from '../../src/repositories/idempotency-key.repository.ts'
import { createItemListRepository, placeOf } from '../../src/repositories/item-list.repository.ts'
import { createItemRepository } from '../../src/repositories/item.repository.ts'
import { createSessionRepository } from '../../src/repositories/session.repository.ts'
import { createThrottleRepository } from '../../src/repositories/throttle.repository.ts'
import { createUserRepository } from '../../src/repositories/user.repository.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { fillTables, items as itemCount, openPlanner, type Plan } from '../support/plans.ts'
import { settings } from '../support/settings.ts'
import { watchStatements } from '../support/statements.ts'

/** What may read a whole table, and why. */
const exceptions: [calls: RegExp, why: string][] = [
  [/^users\.(list|count)Accounts/, 'operators list accounts now and then; there is no index for each of their filters'],
  [/^search zq /, 'a short word is looked for in the 10 000 newest items, and there are no more'],
  [/^search common /, 'of a word that many items have all are counted'],
  [/^\w+\.purge$/, 'a purge of a thousand rows of a small table may be quicker in the order of the table'],
]

const uuid = '00000000-0000-4000-8000-000000000007'
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()

const filters = {
  nothing: {},
  status: { status: 'draft' },
  'a common status': { status: 'active' },
  priority: { priority: 3 },
  owner: { owner: uuid },
  'a time after': { created_after: minutesAgo(60) },
  'a time before': { created_before: minutesAgo(itemCount - 60) },
  everything: {
    status: 'draft',
    priority: 3,
    owner: uuid,
    created_after: minutesAgo(itemCount),
    created_before: minutesAgo(0),
  },
} as const

/** An item in the middle of each order. */
const middle = { id: itemCount / 2, name_folded: '50000', priority: 3, created_at: minutesAgo(itemCount / 2) }

type Calls = Record<string, () => Promise<unknown>>

function listCalls({ list, search, count }: ReturnType<typeof createItemListRepository>): Calls {
  const calls: Calls = {}
  for (const [name, filter] of Object.entries(filters)) {
    calls[`count those of ${name}`] = () => count(filter)
    for (const sort of itemSorts) {
      const [range, after] = [{ sort, limit: 21 }, placeOf(middle, sort)]
      calls[`list those of ${name} by ${sort}`] = () => list(filter, range)
      calls[`list those of ${name} by ${sort}, behind a place`] = () => list(filter, { ...range, after })
      calls[`list those of ${name} by ${sort}, a page`] = () => list(filter, { ...range, offset: 40 })
      if (!['-created_at', 'name'].includes(sort) || name.startsWith('a ')) continue
      for (const word of ['rareword', 'common', 'zq']) {
        const called = `search ${word} among those of ${name} by ${sort}`
        calls[called] = () => search(word, filter, range, true)
        calls[`${called}, behind a place`] = () => search(word, filter, { ...range, after }, false)
      }
    }
  }
  return calls
}

/** Each method of each repository, as it is usually called. */
function allCalls(database: Database): Calls {
  const items = createItemRepository(database)
  const sessions = createSessionRepository(database)
  const throttles = createThrottleRepository(database)
  const users = createUserRepository(database)
  const events = createAuditRepository(database)
  const keys = createIdempotencyKeyRepository(database)
  const someone = { email: 'new@example.com', password_hash: 'x', first_name: 'Ada', last_name: 'Lovelace' }
  const limits = { lifetime: 100, idle: 100, leeway: 5 }
  const event = { event: 'login.failed', user_public_id: uuid, session_public_id: null, reason: null, sessions: null }
  const page = { page: 1, per_page: 20 }
  return {
    ...listCalls(createItemListRepository(database)),
    'items.find': () => items.find(uuid),
    'items.add': () => items.add({ name: 'new' }),
    'items.change': () => items.change(uuid, { name: 'x', description: null }),
    'items.change of an owner': () => items.change(uuid, { status: 'draft' }, { owner_id: 7 }),
    'items.change of a version': () => items.change(uuid, { priority: 2 }, { owner_id: 7, version: 3 }),
    'items.remove': () => items.remove(uuid),
    'items.remove of an owner': () => items.remove(uuid, { owner_id: 7 }),
    'items.remove of a version': () => items.remove(uuid, { owner_id: 7, version: 3 }),
    'items.restore': () => items.restore(uuid),
    'sessions.add': () => sessions.add(7, { ip: '127.0.0.1', user_agent: null }, limits),
    'sessions.rotate': () => sessions.rotate(uuid, 0, limits),
    'sessions.findActor': () => sessions.findActor(uuid, uuid),
    'sessions.confirm': () => sessions.confirm(uuid, 1),
    'sessions.list': () => sessions.list(7, 100),
    'sessions.countLive': () => sessions.countLive(7),
    'sessions.revoke': () => sessions.revoke(uuid, 'logout'),
    'sessions.findFate': () => sessions.findFate(uuid),
    'sessions.revokeOwn': () => sessions.revokeOwn(7, uuid, 'logout'),
    'sessions.revokeAll': () => sessions.revokeAll(7, 'logout_all'),
    'sessions.revokeAll but one': () => sessions.revokeAll(7, 'logout_all', uuid),
    'sessions.purge': () => sessions.purge(30, 1000),
    'throttles.admit': () => throttles.admit('key', { free: 5, wait: 1, longestWait: 60 }),
    'throttles.take': () => throttles.take('key', { quota: 5, window: 60 }),
    'throttles.isUsedUp': () => throttles.isUsedUp('key', { quota: 5, window: 60 }),
    'throttles.wait': () => throttles.wait('key'),
    'throttles.undo': () => throttles.undo('key'),
    'throttles.giveBack': () => throttles.giveBack('key'),
    'throttles.forget': () => throttles.forget('key'),
    'throttles.purge': () => throttles.purge(30, 1000),
    'keys.find': () => keys.find('key'),
    'keys.claim': () => keys.claim({ key: 'key', request_hash: 'x', seconds: 60 }),
    'keys.complete': () => keys.complete('key', 'x'),
    'keys.release': () => keys.release('key'),
    'keys.purge': () => keys.purge(1000),
    'events.add': () => events.add({ ...event, ip: '127.0.0.1', user_agent: null, request_id: null }, 30),
    'events.purge': () => events.purge(1000),
    'users.findProfile': () => users.findProfile(7),
    'users.findCredentials': () => users.findCredentials('user7@example.com'),
    'users.findTokenOwner': () => users.findTokenOwner(7),
    'users.findPassword': () => users.findPassword(7),
    'users.add': () => users.add(someone),
    'users.changeProfile': () => users.changeProfile(7, { first_name: 'Eve' }),
    'users.changeProfile of a version': () => users.changeProfile(7, { first_name: 'Eve' }, 3),
    'users.recordLogin': () => users.recordLogin(7, 'x', '127.0.0.1'),
    'users.changePassword': () => users.changePassword(7, 'x', 'x'),
    'users.deactivate': () => users.deactivate(7),
    'users.activate': () => users.activate(7),
    'users.changeRole': () => users.changeRole(7, 'admin'),
    'users.verify': () => users.verify(7),
    'users.resetPassword': () => users.resetPassword(7, 'x'),
    'users.findAccount': () => users.findAccount(uuid),
    'users.findAccount by e-mail': () => users.findAccount('user7@example.com'),
    'users.listAccounts': () => users.listAccounts({}, page),
    'users.countAccounts': () => users.countAccounts({}),
    'users.listAccounts by role': () => users.listAccounts({ role: 'admin' }, page),
    'users.countAccounts by role': () => users.countAccounts({ role: 'admin' }),
    'users.listAccounts by a text': () => users.listAccounts({ search: 'lovelace', is_active: true }, page),
  }
}

onEachDatabase((kind) => {
  let database: Database
  const plans = new Map<string, Plan[]>()
  beforeAll(async () => {
    const url = await freshDatabase(kind)
    const watched = watchStatements()
    database = openDatabase(settings({ DATABASE_URL: url, DATABASE_TIMEOUT_SECONDS: '60' }))
    await fillTables(database)
    const planner = await openPlanner(url)
    for (const [name, call] of Object.entries(allCalls(database))) {
      const sent = await watched.during(call)
      const asked: Plan[] = []
      for (const statement of sent) asked.push(...(await planner.plan(statement)))
      plans.set(name, asked)
    }
    watched.stop()
    await planner.close()
    return () => database.close()
    // Filling the tables takes ten seconds, and far more on a busy machine.
  }, 240_000)

  test('every method of a repository sends a statement', () => {
    const silent = [...plans].filter(([, { length }]) => length === 0)
    expect(silent.map(([name]) => name)).toEqual([])
  })

  /** What there is to object to in the plans of some of the methods. */
  const faults = (isMeant: (name: string) => boolean, isFaulty: (plan: Plan) => boolean) =>
    [...plans]
      .filter(([name]) => isMeant(name))
      .flatMap(([name, made]) => made.filter(isFaulty).map((plan) => ({ name, ...plan })))

  test('none reads a whole table, but for the exceptions', () => {
    const isMeant = (name: string) => !exceptions.some(([calls]) => calls.test(name))
    expect(faults(isMeant, ({ scans }) => scans.length > 0)).toEqual([])
  })

  test('what is listed in the order of an index is not sorted', () => {
    expect(faults(isIndexed, ({ sorts }) => sorts.length > 0)).toEqual([])
  })

  test('a page behind a place begins there', () => {
    const isMeant = (name: string) => /^list those of nothing by .* behind/.test(name)
    expect(faults(isMeant, ({ steps }) => !steps.some((step) => /Index Cond: \(ROW\(|[<>]\(?\?/.test(step)))).toEqual(
      [],
    )
  })

  test('live rows are counted by an index alone', () => {
    const isMeant = (name: string) => /^count those of (nothing|status|a common status|priority)$/.test(name)
    const isIndexOnly = (step: string) => /COVERING INDEX|Index Only Scan/.test(step)
    expect(faults(isMeant, ({ steps }) => !steps.some(isIndexOnly))).toEqual([])
  })
})

/** Each order has an index, and each filter has one in the order of time. */
const isIndexed = (name: string) =>
  name.startsWith('list those of nothing by ') ||
  /^list those of (status|a common status|priority|owner|a time \w+) by -?created_at/.test(name)
