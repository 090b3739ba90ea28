import { randomUUID } from 'node:crypto'
import type { ExpressionBuilder } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Given } from '../db/statements.ts'
import type { RevokeReason } from '../models/enums.ts'
import type { Tables } from '../models/index.ts'

/** Seconds. */
export interface SessionLimits {
  lifetime: number
  idle: number
  leeway: number
}

interface SessionOrigin {
  ip: string
  user_agent: string | null
}

type NewSession = SessionOrigin & { user_id: number }

interface Rotation {
  session: string
  gen: number
  successor: number
  rotation_id: string
}

/** Of one session, or of an account's. */
type Revocation =
  | { session: string; user_id?: number; keep?: never }
  | { user_id: number; keep?: string | undefined; session?: never }

export type SessionRepository = ReturnType<typeof createSessionRepository>

/** The sessions: a row for each sign-in and its family of refresh tokens. */
export function createSessionRepository({ query, prepare, clock }: Database) {
  const isLive = ({ and, eb }: ExpressionBuilder<Tables, 'sessions'>) =>
    and([eb('revoked_at', 'is', null), eb('expires_at', '>', clock()), eb('idle_expires_at', '>', clock())])

  const live = () => query().selectFrom('sessions').where(isLive)

  const revoking = (reason: RevokeReason) =>
    query().updateTable('sessions').set({ revoked_at: clock(), revoke_reason: reason }).where(isLive)

  const add = prepare((session: Given<NewSession>, { lifetime, idle }: SessionLimits) =>
    query()
      .insertInto('sessions')
      .values({ ...session, expires_at: clock(lifetime), idle_expires_at: clock(idle) })
      .returning(['public_id', 'gen']),
  )

  const rotate = prepare(
    ({ session, gen: presented, successor, rotation_id }: Given<Rotation>, limits: SessionLimits) =>
      query()
        .updateTable('sessions')
        .set(({ case: when, eb, and, or, ref }) => {
          const current = eb('gen', '=', presented)
          const retry = and([
            eb('gen', '=', successor),
            or([eb('rotated_at', '>=', clock(-limits.leeway)), eb('confirmed_gen', '<', ref('gen'))]),
          ])
          const honest = or([current, retry])
          return {
            revoked_at: when().when(honest).then(null).else(clock()).end(),
            revoke_reason: when()
              .when(honest)
              .then(null)
              .else('refresh_reuse' as const)
              .end(),
            rotation_id: when().when(current).then(rotation_id).else(ref('rotation_id')).end(),
            confirmed_gen: when().when(current).then(ref('gen')).else(ref('confirmed_gen')).end(),
            rotated_at: when().when(current).then(clock()).else(ref('rotated_at')).end(),
            idle_expires_at: when().when(current).then(clock(limits.idle)).else(ref('idle_expires_at')).end(),
            gen: when().when(current).then(successor).else(ref('gen')).end(),
          }
        })
        .where('public_id', '=', session)
        .where(isLive)
        .where('gen', '>=', presented)
        .returning(['user_id', 'gen', 'revoked_at']),
  )

  const findActor = prepare(({ session, user }: Given<{ session: string; user: string }>) =>
    live()
      .innerJoin('users', 'users.id', 'sessions.user_id')
      .where('sessions.public_id', '=', session)
      .where('users.public_id', '=', user)
      .where('users.is_active', '=', true)
      .where('users.deleted_at', 'is', null)
      .select([
        'users.id',
        'users.public_id',
        'users.role',
        'users.is_verified',
        'sessions.public_id as session_id',
        'sessions.confirmed_gen',
      ]),
  )

  const confirm = prepare(({ session, gen }: Given<{ session: string; gen: number }>) =>
    query()
      .updateTable('sessions')
      .set({ confirmed_gen: gen })
      .where('public_id', '=', session)
      .where('confirmed_gen', '<', gen)
      .where('gen', '>=', gen),
  )

  const list = prepare(({ user_id }: Given<{ user_id: number }>, limit: number) =>
    live()
      .where('user_id', '=', user_id)
      .select(['public_id', 'created_at', 'rotated_at as last_used_at', 'ip', 'user_agent'])
      .orderBy('id', 'desc')
      .limit(limit),
  )

  const countLive = prepare(({ user_id }: Given<{ user_id: number }>) =>
    live()
      .where('user_id', '=', user_id)
      .select(({ fn }) => fn.countAll<number>().as('total')),
  )

  const findFate = prepare(({ session }: Given<{ session: string }>) =>
    query()
      .selectFrom('sessions')
      .innerJoin('users', 'users.id', 'sessions.user_id')
      .where('sessions.public_id', '=', session)
      .select(['users.public_id as user', 'sessions.revoke_reason']),
  )

  const revoke = prepare(({ session, user_id, keep }: Given<Revocation>, reason: RevokeReason) => {
    let sessions = revoking(reason)
    if (session) sessions = sessions.where('public_id', '=', session)
    if (user_id) sessions = sessions.where('user_id', '=', user_id)
    if (keep) sessions = sessions.where('public_id', '!=', keep)
    return sessions
  })

  return {
    /** Opens a session, at generation 0. */
    add: (user_id: number, { ip, user_agent }: SessionOrigin, limits: SessionLimits) =>
      add.one({ user_id, ip, user_agent }, limits),

    /**
     * Uses a refresh token of generation `gen`, in one statement, so that of many uses at once each
     * sees the one before it:
     * - the current generation: rotates, and confirms the one presented;
     * - the one before it, within the leeway or while its successor was never used: changes nothing,
     *   and the same successor is made again;
     * - any other: theft; the session is revoked.
     *
     * Run it alone or in a transaction that commits whatever comes of it: a revocation must stand even though
     * the request ends in 401.
     * @returns undefined when no live session takes the token; `revoked_at` is set on theft
     */
    rotate: (session: string, gen: number, limits: SessionLimits) =>
      rotate.first({ session, gen, successor: gen + 1, rotation_id: randomUUID() }, limits),

    /** The caller behind an access token, in one indexed query; undefined once anything ended the session or the account. */
    findActor: (session: string, user: string) => findActor.first({ session, user }),

    /** Notes that the tokens of a generation reached their owner. */
    confirm: (session: string, gen: number) => confirm.count({ session, gen }),

    /** The live sessions of an account, newest first. */
    list: (user_id: number, limit: number) => list.all({ user_id }, limit),

    countLive: async (user_id: number): Promise<number> => (await countLive.one({ user_id })).total,

    /** Gives false when it had ended already. */
    revoke: async (session: string, reason: RevokeReason): Promise<boolean> =>
      (await revoke.count({ session }, reason)) > 0,

    /** Whose a session is or was, and why it was ended, for the audit log. */
    findFate: (session: string) => findFate.first({ session }),

    /** Ends a session of this account. Gives false when it has no such live one. */
    revokeOwn: async (user_id: number, session: string, reason: RevokeReason): Promise<boolean> =>
      (await revoke.count({ user_id, session }, reason)) > 0,

    /** Ends the sessions of an account, but for the one to keep. Gives how many there were. */
    revokeAll: (user_id: number, reason: RevokeReason, keep?: string): Promise<number> =>
      revoke.count({ user_id, keep }, reason),

    /** Deletes sessions that ended more than `days` ago, at most `limit`. Gives how many. */
    async purge(days: number, limit: number): Promise<number> {
      const before = clock(-days * 24 * 60 * 60)
      const ended = query()
        .selectFrom('sessions')
        .where(({ eb, or }) =>
          or([eb('revoked_at', '<', before), eb('expires_at', '<', before), eb('idle_expires_at', '<', before)]),
        )
        .select('id')
        .limit(limit)
      const { numDeletedRows } = await query().deleteFrom('sessions').where('id', 'in', ended).executeTakeFirst()
      return Number(numDeletedRows)
    },
  }
}
