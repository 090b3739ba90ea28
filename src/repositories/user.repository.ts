import { sql, type Expression, type Insertable, type Updateable } from 'kysely'
import { offsetOf } from '../core/pagination.ts'
import type { Database } from '../db/database.ts'
import { likePattern } from '../db/engine.ts'
import type { Given } from '../db/statements.ts'
import type { Role } from '../models/enums.ts'
import type { Tables } from '../models/index.ts'

type NewUser = Pick<
  Insertable<Tables['users']>,
  'email' | 'password_hash' | 'first_name' | 'last_name' | 'role' | 'is_verified'
>
interface AccountFilter {
  role?: Role | undefined
  is_active?: boolean | undefined
  is_verified?: boolean | undefined
  /** Part of the e-mail or of a name. */
  search?: string | undefined
}
type Login = { id: number; verified_hash: string; last_login_ip: string; password_hash: string }
type ProfileChanges = Pick<Updateable<Tables['users']>, 'first_name' | 'last_name'>
/** An account, in a version if one is given. */
type Which = { id: number; version?: number | undefined }

export type UserRepository = ReturnType<typeof createUserRepository>

/** The accounts: reads and changes see live ones alone. */
export function createUserRepository({ query, prepare, clock, contains, fold }: Database) {
  const profile = [
    'public_id',
    'email',
    'first_name',
    'last_name',
    'role',
    'is_active',
    'is_verified',
    'created_at',
    'updated_at',
  ] as const

  const shown = [...profile, 'version'] as const
  const account = [...profile, 'last_login', 'last_login_ip', 'password_changed_at'] as const

  const live = () => query().selectFrom('users').where('deleted_at', 'is', null)
  const changing = (id: number | Expression<number>) =>
    query().updateTable('users').where('id', '=', id).where('deleted_at', 'is', null)

  /** What sets a new version: for every change that its owner can see. */
  const next = { updated_at: clock(), version: sql<number>`version + 1` }

  /** Makes a change of one account, and tells whether there was one to make. */
  async function isMade(change: ReturnType<typeof changing>): Promise<boolean> {
    const changed = await change.set(next).returning('id').executeTakeFirst()
    return changed !== undefined
  }

  function matching({ role, is_active, is_verified, search }: AccountFilter) {
    let users = live()
    if (role !== undefined) users = users.where('role', '=', role)
    if (is_active !== undefined) users = users.where('is_active', '=', is_active)
    if (is_verified !== undefined) users = users.where('is_verified', '=', is_verified)
    if (search === undefined) return users
    const pattern = fold(sql<string>`${likePattern(search)}`)
    return users.where(({ or, ref }) =>
      or((['email', 'first_name', 'last_name'] as const).map((column) => contains(fold(ref(column)), pattern))),
    )
  }

  const findProfile = prepare(({ id }: Given<{ id: number }>) => live().where('id', '=', id).select(shown))

  const findCredentials = prepare(({ email }: Given<{ email: string }>) =>
    live().where('email', '=', email).select(['id', 'public_id', 'password_hash', 'is_active', 'role']),
  )

  const findTokenOwner = prepare(({ id }: Given<{ id: number }>) =>
    live().where('id', '=', id).where('is_active', '=', true).select(['public_id', 'role']),
  )

  const findPassword = prepare(({ id }: Given<{ id: number }>) =>
    live().where('id', '=', id).select(['email', 'password_hash']),
  )

  const add = prepare((user: Given<NewUser>) =>
    query().insertInto('users').values(user).returning(['id', 'public_id', 'role']),
  )

  const changeProfile = prepare(({ id, version, ...changes }: Given<ProfileChanges & Which>) =>
    changing(id)
      .set({ ...changes, ...next })
      .$if(version !== undefined, (user) => user.where('version', '=', version!))
      .returning(shown),
  )

  const recordLogin = prepare(({ id, verified_hash, ...seen }: Given<Login>) =>
    changing(id)
      .where('password_hash', '=', verified_hash)
      .where('is_active', '=', true)
      .set({ ...seen, last_login: clock() })
      .returning('id'),
  )

  return {
    /** What an account may see of itself. */
    findProfile: (id: number) => findProfile.first({ id }),

    /** What a sign-in is checked against. */
    findCredentials: (email: string) => findCredentials.first({ email }),

    /** For whom an access token may be made: an account that is live and active. */
    findTokenOwner: (id: number) => findTokenOwner.first({ id }),

    /** What a password change is checked against. */
    findPassword: (id: number) => findPassword.first({ id }),

    /** @throws ConflictError when a live account has the e-mail: the unique index decides, whoever came first */
    add: (user: NewUser) => add.one(user),

    /** Gives the profile as it is then; undefined when there is no such account, or not in the version asked for. */
    changeProfile: (id: number, changes: ProfileChanges, version?: number) =>
      changeProfile.first({ ...changes, id, version }),

    /**
     * Notes a sign-in, if the account still has the password hash that was verified. A password change
     * or a deactivation meanwhile makes it give false, and locks the row until this one commits.
     * @param newHash the same password under new parameters
     */
    async recordLogin(id: number, verifiedHash: string, ip: string, newHash = verifiedHash): Promise<boolean> {
      const login = { id, verified_hash: verifiedHash, last_login_ip: ip, password_hash: newHash }
      return (await recordLogin.first(login)) !== undefined
    },

    /** Gives false when the password was changed meanwhile. */
    changePassword: (id: number, verifiedHash: string, newHash: string) =>
      isMade(
        changing(id)
          .where('password_hash', '=', verifiedHash)
          .set({ password_hash: newHash, password_changed_at: clock() }),
      ),

    /** Shuts an account; its sessions are the caller's to end. Gives false when it was shut already. */
    deactivate: (id: number) => isMade(changing(id).where('is_active', '=', true).set({ is_active: false })),

    // What operators do.

    /** An account by its public id or, if the text has an @, by its e-mail. */
    findAccount: (name: string) =>
      live()
        .where(name.includes('@') ? 'email' : 'public_id', '=', name)
        .select(['id', ...account])
        .executeTakeFirst(),

    /** A page of the accounts that match, newest first. */
    listAccounts: (filter: AccountFilter, page: { page: number; per_page: number }) =>
      matching(filter).select(account).orderBy('id', 'desc').limit(page.per_page).offset(offsetOf(page)).execute(),

    async countAccounts(filter: AccountFilter): Promise<number> {
      const { total } = await matching(filter)
        .select(({ fn }) => fn.countAll<number>().as('total'))
        .executeTakeFirstOrThrow()
      return total
    },

    /** Gives false when it has the role already. */
    changeRole: (id: number, role: Role) => isMade(changing(id).where('role', '!=', role).set({ role })),

    /** Opens a deactivated account again. Gives false when it is open. */
    activate: (id: number) => isMade(changing(id).where('is_active', '=', false).set({ is_active: true })),

    /** Gives false when it is verified already. */
    verify: (id: number) => isMade(changing(id).where('is_verified', '=', false).set({ is_verified: true })),

    /** Sets a password without asking for the old one. Gives false when the account was deleted meanwhile. */
    resetPassword: (id: number, password_hash: string) =>
      isMade(changing(id).set({ password_hash, password_changed_at: clock() })),
  }
}
