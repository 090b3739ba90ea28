import { expect } from 'vitest'
import type { Actor } from '../../src/core/actor.ts'
import type { SecurityEvent } from '../../src/core/audit.ts'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import type { Passwords } from '../../src/core/security/passwords.ts'
import { createRefreshTokens } from '../../src/core/security/refresh-tokens.ts'
import type { Database } from '../../src/db/database.ts'
import type { Services } from '../../src/wiring.ts'
import { isInjected, withFailures, type Plan } from '../support/failures.ts'
import { settings } from '../support/settings.ts'
import { client, lastEvent, person } from './half-done.ts'

const accessTokens = createAccessTokens(settings())
const refreshTokens = createRefreshTokens(settings())

/** Functions that change nothing by themselves: they are tried alone, and have no place in a history. */
export const readers = [
  'accounts.checkPassword',
  'accounts.list',
  'accounts.requireFree',
  'accounts.sessions',
  'accounts.show',
  'audit',
  'health.databaseDelay',
  'health.ready',
  'idempotency.once',
  'items.export',
  'items.get',
  'items.list',
  'items.search',
  'sessions.list',
  'users.profile',
]

/** What people know of their accounts and items, by e-mail and by name; and how often a session was rotated. */
interface Known {
  passwords: Record<string, string>
  first_names: Record<string, string>
  items: Record<string, { priority: number; is_deleted: boolean }>
  rotations: Record<string, number>
}

/** Something done with one account, one of its sessions and one item. */
interface Deed {
  run: () => Promise<unknown>
  /** What it comes to, if it is done. */
  known?: Partial<Known>
  /** The one event it leaves if it is done; none where there was nothing to do. */
  event?: SecurityEvent | false
  /** Whether it is refused even though it leaves an event. */
  isRefused?: boolean
}

/** Refusals are no changes. */
const refusals = new Set(['login.failed', 'password.refused', 'session.refresh_refused'])

type Stage = Awaited<ReturnType<typeof look>>

/** The tables, as far as a history knows of them, and the events behind one. */
async function look({ query }: Database, last: number) {
  const users = await query().selectFrom('users').selectAll().orderBy('id').execute()
  const sessions = await query().selectFrom('sessions').selectAll().orderBy('id').execute()
  const items = await query().selectFrom('items').selectAll().orderBy('id').execute()
  const events = await query().selectFrom('audit_events').selectAll().where('id', '>', last).orderBy('id').execute()
  const counts = await query().selectFrom('throttles').select('attempts').execute()
  return { users, sessions, items, events, counts }
}

/** Who is live, by what the security events tell: the tables must say the same. */
const liveOf = ({ users, sessions }: Stage) => {
  const names = new Map(users.map(({ id, public_id }) => [id, public_id]))
  const live = sessions.filter(({ revoked_at }) => revoked_at === null)
  return {
    users: Object.fromEntries(
      users.map(({ public_id, role, is_active, is_verified }) => [public_id, { role, is_active, is_verified }]),
    ),
    sessions: Object.fromEntries(live.map(({ public_id, user_id }) => [public_id, names.get(user_id)!])),
  }
}
type Live = ReturnType<typeof liveOf>

/** What an event makes of it. Throws when it tells of what cannot be. */
function follow({ users, sessions }: Live, event: Stage['events'][number], kept: string): Live {
  const { user_public_id: user, session_public_id: session, reason } = event
  const change = (part: Partial<Live['users'][string]>) => ({
    users: { ...users, [user!]: { ...users[user!]!, ...part } },
    sessions,
  })
  const opened = () => ({ ...sessions, [session!]: user! })
  /** A session, or all of the account, which are as many as the event says. */
  function ended(but?: string) {
    const entries = Object.entries(sessions)
    const left = entries.filter(([id, owner]) => (session ? id !== session : owner !== user || id === but))
    expect(entries.length - left.length).toBe(event.sessions ?? 1)
    return Object.fromEntries(left)
  }
  const added = (role: string) => ({
    ...users,
    [user!]: { role: role as Live['users'][string]['role'], is_active: true, is_verified: false },
  })
  const kinds: Record<string, () => Live> = {
    'account.registered': () => ({ users: added('user'), sessions: opened() }),
    'account.created': () => ({ users: added(reason!), sessions }),
    'account.activated': () => change({ is_active: true }),
    'account.deactivated': () => ({ ...change({ is_active: false }), sessions: ended() }),
    'account.verified': () => change({ is_verified: true }),
    'role.changed': () => change({ role: reason as Live['users'][string]['role'] }),
    'login.succeeded': () => ({ users, sessions: opened() }),
    'password.changed': () => ({ users, sessions: ended(kept) }),
    'password.reset': () => ({ users, sessions: ended() }),
    'session.revoked': () => ({ users, sessions: ended() }),
    'session.refresh_reuse': () => ({ users, sessions: ended() }),
  }
  return kinds[event.event]!()
}

interface Chosen {
  services: Services
  known: Known
  user: Stage['users'][number]
  actor: Actor
  /** A session of theirs. */
  session: Stage['sessions'][number]
  live: number
  item: Stage['items'][number]
  /** A number that nothing else has. */
  n: number
}

const isLive = ({ session }: Chosen) => session.revoked_at === null
const withItem = ({ known, item }: Chosen, part: Partial<Known['items'][string]>) =>
  item.is_deleted ? {} : { items: { ...known.items, [item.name]: { ...known.items[item.name]!, ...part } } }
const withPassword = ({ known }: Chosen, email: string, password: string) => ({
  passwords: { ...known.passwords, [email]: password },
})
const joined = (chosen: Chosen, email: string) => ({
  ...withPassword(chosen, email, person.password),
  first_names: { ...chosen.known.first_names, [email]: person.first_name },
})
const tokenOf = ({ session }: Chosen, gen = session.gen) => refreshTokens.sign({ sid: session.public_id, gen })

/** Everything that changes something, by the function and what is special. */
export const deeds: Record<string, (chosen: Chosen) => Deed> = {
  'auth.register': (chosen) => {
    const email = `new${chosen.n}@example.com`
    const run = () => chosen.services.auth.register({ ...person, email }, client)
    return { run, known: joined(chosen, email), event: 'account.registered' }
  },
  'auth.login': ({ services, known, user: { email, is_active } }) => ({
    run: () => services.auth.login({ email, password: known.passwords[email]! }, client),
    event: is_active && 'login.succeeded',
  }),
  'auth.login, wrong password': ({ services, user: { email } }) => ({
    run: () => services.auth.login({ email, password: 'wrong' }, client),
  }),
  'auth.refresh': (chosen) => ({
    run: () => chosen.services.auth.refresh(tokenOf(chosen), client),
    known: isLive(chosen)
      ? { rotations: { ...chosen.known.rotations, [chosen.session.public_id]: chosen.session.gen + 1 } }
      : {},
  }),
  'auth.refresh, theft': (chosen) => {
    const gen = chosen.session.gen - 2
    const isTheft = gen >= 0 && isLive(chosen)
    const run = () => chosen.services.auth.refresh(isTheft ? tokenOf(chosen, gen) : 'no token', client)
    return { run, event: isTheft && 'session.refresh_reuse', isRefused: true }
  },
  'auth.logout': (chosen) => ({
    run: () => chosen.services.auth.logout(tokenOf(chosen), client),
    event: isLive(chosen) && 'session.revoked',
  }),
  'sessions.authenticate': ({ services, actor, session: { public_id: sid, gen } }) => ({
    run: () => services.sessions.authenticate(accessTokens.sign({ sub: actor.public_id, role: actor.role, sid, gen })),
  }),
  'sessions.revoke': (chosen) => ({
    run: () => chosen.services.sessions.revoke(chosen.actor, chosen.session.public_id),
    event: isLive(chosen) && 'session.revoked',
  }),
  'sessions.revokeAll': ({ services, actor, live }) => ({
    run: () => services.sessions.revokeAll(actor),
    event: live > 0 && 'session.revoked',
  }),
  'users.changeProfile': ({ services, known, actor, user: { email }, n }) => ({
    run: () => services.users.changeProfile(actor, { first_name: `Ada ${n}` }),
    known: { first_names: { ...known.first_names, [email]: `Ada ${n}` } },
  }),
  'users.changePassword': (chosen) => {
    const { email } = chosen.user
    const new_password = `a new password, the ${chosen.n}th`
    const change = { old_password: chosen.known.passwords[email]!, new_password }
    const run = () => chosen.services.users.changePassword(chosen.actor, change)
    return { run, known: withPassword(chosen, email, new_password), event: 'password.changed' }
  },
  'users.deactivate': ({ services, actor, user }) => ({
    run: () => services.users.deactivate(actor),
    event: user.is_active && 'account.deactivated',
  }),
  'accounts.create': (chosen) => {
    const email = `made${chosen.n}@example.com`
    const account = { ...person, email, role: 'moderator' as const, is_verified: false }
    const run = () => chosen.services.accounts.create(account, client)
    return { run, known: joined(chosen, email), event: 'account.created' }
  },
  'accounts.setRole': ({ services, user: { email, role }, n }) => {
    const next = n % 2 ? 'user' : 'admin'
    return { run: () => services.accounts.setRole(email, next, client), event: role !== next && 'role.changed' }
  },
  'accounts.verify': ({ services, user: { email, is_verified } }) => ({
    run: () => services.accounts.verify(email, client),
    event: !is_verified && 'account.verified',
  }),
  'accounts.activate': ({ services, user: { email, is_active } }) => ({
    run: () => services.accounts.activate(email, client),
    event: !is_active && 'account.activated',
  }),
  'accounts.deactivate': ({ services, user: { email, is_active } }) => ({
    run: () => services.accounts.deactivate(email, client),
    event: is_active && 'account.deactivated',
  }),
  'accounts.resetPassword': (chosen) => {
    const { email } = chosen.user
    const password = `a new password, the ${chosen.n}th`
    const run = () => chosen.services.accounts.resetPassword(email, password, client)
    return { run, known: withPassword(chosen, email, password), event: 'password.reset' }
  },
  'accounts.endSession': (chosen) => ({
    run: () => chosen.services.accounts.endSession(chosen.session.public_id, client),
    event: isLive(chosen) && 'session.revoked',
  }),
  'accounts.endSessions': ({ services, user: { email }, live }) => ({
    run: () => services.accounts.endSessions(email, client),
    event: live > 0 && 'session.revoked',
  }),
  'items.create': ({ services, known, actor, n }) => ({
    run: () =>
      services.items.create(actor, { name: `item ${n}`, description: null, status: 'active', priority: 1 + (n % 5) }),
    known: { items: { ...known.items, [`item ${n}`]: { priority: 1 + (n % 5), is_deleted: false } } },
  }),
  'items.change': (chosen) => {
    const { services, actor, item, n } = chosen
    const run = () => services.items.change({ ...actor, role: 'admin' }, item.public_id, { priority: 1 + (n % 5) })
    return { run, known: withItem(chosen, { priority: 1 + (n % 5) }) }
  },
  'items.remove': (chosen) => ({
    run: () => chosen.services.items.remove({ ...chosen.actor, role: 'admin' }, chosen.item.public_id),
    known: withItem(chosen, { is_deleted: true }),
  }),
  'purge.run': ({ services }) => ({ run: () => services.purge.run() }),
  'purge.runIfDue': ({ services }) => ({ run: () => services.purge.runIfDue() }),
}

const from = <T>(list: T[], number: number): T => list[number % list.length]!

/** One deed after another, each looked at before the next: it was done, or not, and never half. */
export async function createHistory(database: Database, services: Services, passwords: Passwords) {
  const hashes = new Map<string, string>()
  let last = await lastEvent(database)
  let stage = await look(database, last)
  let n = 0

  async function passwordOf(hash: string, candidates: string[]): Promise<string> {
    for (const candidate of candidates)
      if (!hashes.has(hash) && (await passwords.verify(hash, candidate))) hashes.set(hash, candidate)
    return hashes.get(hash) ?? 'something else'
  }

  /** What is known, as the tables say it. */
  async function knownFrom({ users, items, sessions }: Stage, candidates: string[]): Promise<Known> {
    const found: Record<string, string> = {}
    for (const { email, password_hash } of users) found[email] = await passwordOf(password_hash, candidates)
    return {
      passwords: found,
      first_names: Object.fromEntries(users.map(({ email, first_name }) => [email, first_name])),
      items: Object.fromEntries(items.map(({ name, priority, is_deleted }) => [name, { priority, is_deleted }])),
      rotations: Object.fromEntries(sessions.flatMap(({ public_id, gen }) => (gen > 0 ? [[public_id, gen]] : []))),
    }
  }

  let known = await knownFrom(stage, [person.password])

  function choose(who: number, which: number): Chosen | undefined {
    const user = from(stage.users, who)
    const sessions = stage.sessions.filter(({ user_id }) => user_id === user.id)
    if (sessions.length === 0) return undefined
    const session = from(sessions, which)
    const { id, public_id, role, is_verified } = user
    const actor = { id, public_id, role, is_verified, session_id: session.public_id, client }
    const live = sessions.filter(({ revoked_at }) => revoked_at === null).length
    return { services, known, user, actor, session, live, item: from(stage.items, which), n: ++n }
  }

  return async (name: string, who: number, which: number, plan: Plan) => {
    const chosen = choose(who, which)
    if (!chosen) return
    const { run, known: outcome = {}, event, isRefused = false } = deeds[name]!(chosen)
    const { result } = await withFailures(plan, run)
    const isFailed = result.status === 'rejected' && isInjected(result.reason)
    const isDone = result.status === 'fulfilled' && result.value !== false

    const before = { known, live: liveOf(stage) }
    const done = { ...known, ...outcome }
    stage = await look(database, last)
    last = stage.events.at(-1)?.id ?? last
    known = await knownFrom(stage, Object.values({ ...known.passwords, ...done.passwords }))

    const told = stage.events.filter((row) => !refusals.has(row.event))
    const changes = told.map((row) => row.event)
    const allowed = [
      ...(isDone || isFailed || isRefused ? [{ known: done, changes: event ? [event] : [] }] : []),
      ...(isDone && !isRefused ? [] : [{ known: before.known, changes: [] }]),
    ]
    expect(allowed).toContainEqual({ known, changes })

    const followed = told.reduce((live, row) => follow(live, row, chosen.actor.session_id), before.live)
    expect(liveOf(stage)).toEqual(followed)
    const active = new Set(stage.users.filter(({ is_active }) => is_active).map(({ public_id }) => public_id))
    expect(Object.values(followed.sessions).filter((owner) => !active.has(owner))).toEqual([])
    expect(stage.sessions.filter(({ gen, confirmed_gen }) => confirmed_gen > gen)).toEqual([])
    expect(stage.counts.filter(({ attempts }) => attempts < 0)).toEqual([])
  }
}
