import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Actor, Client } from '../../src/core/actor.ts'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import { createRefreshTokens } from '../../src/core/security/refresh-tokens.ts'
import type { Database } from '../../src/db/database.ts'
import type { Role } from '../../src/models/enums.ts'
import type { Services } from '../../src/wiring.ts'
import { insertItems } from '../support/items.ts'
import { settings } from '../support/settings.ts'

export const client: Client = { request_id: 'a test', ip: '127.0.0.1', user_agent: null }
export const person = { password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }
const newPassword = 'a new one for all of us'

const accessTokens = createAccessTokens(settings())
const refreshTokens = createRefreshTokens(settings())

const long = '2020-01-01T00:00:00.000Z'
const far = '2100-01-01T00:00:00.000Z'
const past = { created_at: long, updated_at: long }
const session = { ...past, rotated_at: long, expires_at: far, idle_expires_at: far, ip: null, user_agent: null }

/** Accounts, sessions and items, as they were made long ago: no time that is written now is the same. */
export async function makeWorld(database: Database, hashes: { present: string; outdated: string }) {
  const { query } = database
  for (const table of ['items', 'sessions', 'users', 'throttles', 'idempotency_keys'] as const)
    await query().deleteFrom(table).execute()

  const account = async (name: string, changes: { is_active?: boolean; role?: Role; password_hash?: string } = {}) => {
    const email = `${name}@example.com`
    const named = { email, first_name: 'Ada', last_name: 'Lovelace', password_changed_at: long }
    const columns = { ...past, ...named, password_hash: hashes.present, ...changes }
    const user = await query().insertInto('users').values(columns).returningAll().executeTakeFirstOrThrow()
    const rows = [0, 1].map((gen) => ({ ...session, user_id: user.id, gen, confirmed_gen: 0 }))
    const sessions = await query().insertInto('sessions').values(rows).returning(['public_id', 'gen']).execute()
    const tokens = sessions.toSorted((a, b) => a.gen - b.gen).map(({ public_id: sid, gen }) => ({ sid, gen }))
    const item_id = randomUUID()
    await insertItems(database, [{ ...past, public_id: item_id, name: `${name}'s own`, owner_id: user.id }])
    const { id, public_id, role, is_verified } = user
    const actor: Actor = { id, public_id, role, is_verified, session_id: tokens[0]!.sid, client }
    return { email, actor, item_id, tokens }
  }
  const world = {
    ada: await account('ada'),
    bob: await account('bob', { is_active: false }),
    old: await account('old', { password_hash: hashes.outdated }),
  }
  // What a purge finds.
  const { id } = world.ada.actor
  const ended = { revoked_at: long, revoke_reason: 'logout' as const }
  await query()
    .insertInto('sessions')
    .values({ ...session, user_id: id, ...ended })
    .execute()
  await query()
    .insertInto('throttles')
    .values({ ...past, key: 'forgotten', until: long })
    .execute()
  await query().insertInto('audit_events').values({ event: 'a test', kept_until: long, ip: null }).execute()
  return world
}

export type World = Awaited<ReturnType<typeof makeWorld>>

const refreshToken = ({ tokens: [, newest] }: World['ada']) => refreshTokens.sign(newest!)
const query = { page: 1, per_page: 10 }
const listQuery = { ...query, include_total: true, sort: '-created_at' as const }
const nobody = '00000000-0000-4000-8000-000000000000'

/** The same under an `Idempotency-Key`. */
const keyed = (work: (services: Services, world: World) => Promise<unknown>) => (services: Services, world: World) =>
  services.idempotency.once({ key: 'a key', scope: [], content: '' }, async () => {
    const body = JSON.stringify(await work(services, world))
    return { status: 200, headers: {}, body }
  })

/**
 * Everything that services do, each way that leads to other statements: by the name of the service and of the
 * function, and after a comma what is special.
 */
export const operations: Record<string, (services: Services, world: World) => unknown> = {
  'auth.register': ({ auth }) => auth.register({ ...person, email: 'new@example.com' }, client),
  'auth.register, in use': ({ auth }, { ada }) => auth.register({ ...person, email: ada.email }, client),
  'auth.login': ({ auth }, { ada }) => auth.login({ ...person, email: ada.email }, client),
  'auth.login, outdated hash': ({ auth }, { old }) => auth.login({ ...person, email: old.email }, client),
  'auth.login, wrong password': ({ auth }, { ada }) => auth.login({ password: 'x', email: ada.email }, client),
  'auth.login, nobody': ({ auth }) => auth.login({ ...person, email: 'nobody@example.com' }, client),
  'auth.refresh': ({ auth }, { ada }) => auth.refresh(refreshToken(ada), client),
  'auth.refresh, theft': ({ auth }, { ada }) => auth.refresh(refreshTokens.sign({ ...ada.tokens[1]!, gen: 0 }), client),
  'auth.refresh, of a shut account': ({ auth }, { bob }) => auth.refresh(refreshToken(bob), client),
  'auth.refresh, malformed': ({ auth }) => auth.refresh('no token', client),
  'auth.logout': ({ auth }, { ada }) => auth.logout(refreshToken(ada), client),
  'auth.logout, malformed': ({ auth }) => auth.logout('no token', client),
  'sessions.authenticate': ({ sessions }, { ada: { actor, tokens } }) => {
    const { sid, gen } = tokens[1]!
    return sessions.authenticate(accessTokens.sign({ sub: actor.public_id, role: actor.role, sid, gen }))
  },
  'sessions.list': ({ sessions }, { ada }) => sessions.list(ada.actor),
  'sessions.revoke': ({ sessions }, { ada }) => sessions.revoke(ada.actor, ada.tokens[1]!.sid),
  "sessions.revoke, another's": ({ sessions }, { ada, bob }) => sessions.revoke(ada.actor, bob.tokens[0]!.sid),
  'sessions.revokeAll': ({ sessions }, { ada }) => sessions.revokeAll(ada.actor),
  'users.profile': ({ users }, { ada }) => users.profile(ada.actor),
  'users.changeProfile': ({ users }, { ada }) => users.changeProfile(ada.actor, { first_name: 'Augusta' }),
  'users.changeProfile, stale': ({ users }, { ada }) => users.changeProfile(ada.actor, { first_name: 'A' }, [7]),
  'users.changeProfile, nothing': ({ users }, { ada }) => users.changeProfile(ada.actor, {}),
  'users.changePassword': ({ users }, { ada }) =>
    users.changePassword(ada.actor, { old_password: person.password, new_password: newPassword }),
  'users.changePassword, wrong old one': ({ users }, { ada }) =>
    users.changePassword(ada.actor, { old_password: 'x', new_password: newPassword }),
  'users.deactivate': ({ users }, { ada }) => users.deactivate(ada.actor),
  'accounts.list': ({ accounts }) => accounts.list(query),
  'accounts.show': ({ accounts }, { ada }) => accounts.show(ada.email),
  'accounts.checkPassword': ({ accounts }, { ada }) => accounts.checkPassword(newPassword, ada.email),
  'accounts.requireFree': ({ accounts }) => accounts.requireFree('new@example.com'),
  'accounts.create': ({ accounts }) =>
    accounts.create({ ...person, email: 'new@example.com', role: 'admin', is_verified: false }, client),
  'accounts.setRole': ({ accounts }, { ada }) => accounts.setRole(ada.email, 'admin', client),
  'accounts.setRole, the same': ({ accounts }, { ada }) => accounts.setRole(ada.email, 'user', client),
  'accounts.verify': ({ accounts }, { ada }) => accounts.verify(ada.email, client),
  'accounts.activate': ({ accounts }, { bob }) => accounts.activate(bob.email, client),
  'accounts.deactivate': ({ accounts }, { ada }) => accounts.deactivate(ada.email, client),
  'accounts.resetPassword': ({ accounts }, { ada }) => accounts.resetPassword(ada.email, newPassword, client),
  'accounts.sessions': ({ accounts }, { ada }) => accounts.sessions(ada.email),
  'accounts.endSession': ({ accounts }, { ada }) => accounts.endSession(ada.tokens[1]!.sid, client),
  'accounts.endSessions': ({ accounts }, { ada }) => accounts.endSessions(ada.email, client),
  'items.get': ({ items }, { ada }) => items.get(ada.item_id),
  'items.list': ({ items }) => items.list(listQuery),
  'items.search': ({ items }) => items.search({ ...listQuery, q: 'own' }),
  'items.export': ({ items }) => Array.fromAsync(items.export({})),
  'items.create': ({ items }, { ada }) =>
    items.create(ada.actor, { name: 'New', description: 'Whole', status: 'active', priority: 2 }),
  'items.change': ({ items }, { ada }) => items.change(ada.actor, ada.item_id, { name: 'Changed', priority: 5 }),
  'items.change, nothing': ({ items }, { ada }) => items.change(ada.actor, ada.item_id, {}),
  "items.change, another's": ({ items }, { ada, bob }) => items.change(ada.actor, bob.item_id, { priority: 5 }),
  'items.change, stale': ({ items }, { ada }) => items.change(ada.actor, ada.item_id, { priority: 5 }, [7]),
  'items.remove, stale': ({ items }, { ada }) => items.remove(ada.actor, ada.item_id, [7]),
  'items.remove': ({ items }, { ada }) => items.remove(ada.actor, ada.item_id),
  'items.remove, none': ({ items }, { ada }) => items.remove(ada.actor, nobody),
  'idempotency.once, nothing': keyed(async () => {}),
  'idempotency.once, one statement': keyed(({ items }, { ada }) =>
    items.create(ada.actor, { name: 'New', description: null, status: 'active', priority: 2 }),
  ),
  'idempotency.once, hashing first': keyed(({ auth }) =>
    auth.register({ ...person, email: 'new@example.com' }, client),
  ),
  'idempotency.once, statements behind it': keyed(({ auth }, { ada }) =>
    auth.login({ ...person, email: ada.email }, client),
  ),
  'idempotency.once, refused behind it': keyed(({ auth }, { ada }) =>
    auth.refresh(refreshTokens.sign({ ...ada.tokens[1]!, gen: 0 }), client),
  ),
  'health.ready': ({ health }) => health.ready(),
  'health.databaseDelay': ({ health }) => health.databaseDelay(),
  'purge.run': ({ purge }) => purge.run(),
  'purge.runIfDue': ({ purge }) => purge.runIfDue(),
  audit: ({ audit }, { ada }) => audit('authorization.refused', client, { user: ada.actor.public_id }),
}

/** The functions of all services, as `operations` names them. */
export const functionsOf = (services: Services) =>
  Object.entries(services).flatMap(([service, functions]) =>
    typeof functions === 'function' ? [service] : Object.keys(functions).map((name) => `${service}.${name}`),
  )

/** The id of the newest security event; 0 when there is none. */
export async function lastEvent({ query: select }: Database): Promise<number> {
  const events = select().selectFrom('audit_events')
  const newest = await events.select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
  return newest?.id ?? 0
}

type Row = Record<string, unknown>
type Change = { table: string } & ({ added: Row } | { changed: Row } | { removed: Row })

/** All that operations write, but for the counts of attempts, and events up to `since`. */
export async function contentOf({ query: select }: Database, since: number): Promise<Record<string, Row[]>> {
  return {
    users: await select().selectFrom('users').selectAll().orderBy('id').execute(),
    sessions: await select().selectFrom('sessions').selectAll().orderBy('id').execute(),
    items: await select().selectFrom('items').selectAll().orderBy('id').execute(),
    idempotency_keys: (await select().selectFrom('idempotency_keys').selectAll().execute()).map((row) => ({
      ...row,
      id: row.key,
    })),
    audit_events: await select().selectFrom('audit_events').selectAll().where('id', '>', since).orderBy('id').execute(),
  }
}

/** What is another one each time. Of these it counts whether there is one. */
const isVolatile = /(?:^|_)(?:id|at|hash|until|login|answer)$/

/**
 * What changed from one content to another, told so that the same operation done twice gives the same: by table the
 * rows that were added, changed (what is new of them) and removed.
 */
export function difference(before: Record<string, Row[]>, after: Record<string, Row[]>): Change[] {
  const told = (row: Row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, isVolatile.test(name) && value !== null ? 'there' : value]),
    )
  return Object.entries(after).flatMap(([table, rows]) => {
    const earlier = new Map(before[table]!.map((row) => [row['id'], row]))
    const kept = new Set(rows.map(({ id }) => id))
    const removed = before[table]!.filter(({ id }) => !kept.has(id)).map((row) => ({ table, removed: told(row) }))
    const written = rows.flatMap((row): Change[] => {
      const old = earlier.get(row['id'])
      if (!old) return [{ table, added: told(row) }]
      const fresh = Object.entries(row).filter(([name, value]) => !isDeepStrictEqual(old[name], value))
      return fresh.length > 0 ? [{ table, changed: told(Object.fromEntries(fresh)) }] : []
    })
    return [...removed, ...written]
  })
}
