import type { Insertable, Updateable } from 'kysely'
import type { Database } from '../db/database.ts'
import type { Role } from '../models/enums.ts'
import type { Tables } from '../models/index.ts'

type NewUser = Pick<
  Insertable<Tables['users']>,
  'email' | 'password_hash' | 'first_name' | 'last_name' | 'role' | 'is_verified'
>
type ProfileChanges = Pick<Updateable<Tables['users']>, 'first_name' | 'last_name'>

export type UserRepository = ReturnType<typeof createUserRepository>

/** The accounts: reads and changes see live ones alone. */
export function createUserRepository({ query, clock }: Database) {
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

  const live = () => query().selectFrom('users').where('deleted_at', 'is', null)
  const changing = (id: number) => query().updateTable('users').where('id', '=', id).where('deleted_at', 'is', null)

  return {
    /** What an account may see of itself. */
    findProfile: (id: number) => live().where('id', '=', id).select(profile).executeTakeFirst(),

    /** What a sign-in is checked against. */
    findCredentials: (email: string) =>
      live()
        .where('email', '=', email)
        .select(['id', 'public_id', 'password_hash', 'is_active', 'role'])
        .executeTakeFirst(),

    /** For whom an access token may be made: an account that is live and active. */
    findTokenOwner: (id: number) =>
      live().where('id', '=', id).where('is_active', '=', true).select(['public_id', 'role']).executeTakeFirst(),

    /** What a password change is checked against. */
    findPassword: (id: number) => live().where('id', '=', id).select(['email', 'password_hash']).executeTakeFirst(),

    /** @throws ConflictError when a live account has the e-mail: the unique index decides, whoever came first */
    add: (user: NewUser) =>
      query().insertInto('users').values(user).returning(['id', 'public_id', 'role']).executeTakeFirstOrThrow(),

    /** Gives the profile as it is then; undefined when there is no such account. */
    changeProfile: (id: number, changes: ProfileChanges) =>
      changing(id)
        .set({ ...changes, updated_at: clock() })
        .returning(profile)
        .executeTakeFirst(),

    /**
     * Notes a sign-in, if the account still has the password hash that was verified. A password change
     * or a deactivation meanwhile makes it give false, and locks the row until this one commits.
     * @param newHash the same password under new parameters
     */
    async recordLogin(id: number, verifiedHash: string, ip: string, newHash = verifiedHash): Promise<boolean> {
      const recorded = await changing(id)
        .where('password_hash', '=', verifiedHash)
        .where('is_active', '=', true)
        .set({ last_login: clock(), last_login_ip: ip, password_hash: newHash })
        .returning('id')
        .executeTakeFirst()
      return recorded !== undefined
    },

    /** Gives false when the password was changed meanwhile. */
    async changePassword(id: number, verifiedHash: string, newHash: string): Promise<boolean> {
      const changed = await changing(id)
        .where('password_hash', '=', verifiedHash)
        .set({ password_hash: newHash, password_changed_at: clock(), updated_at: clock() })
        .returning('id')
        .executeTakeFirst()
      return changed !== undefined
    },

    /** Gives undefined when no live account has the e-mail. */
    changeRole: (email: string, role: Role) =>
      query()
        .updateTable('users')
        .where('email', '=', email)
        .where('deleted_at', 'is', null)
        .set({ role, updated_at: clock() })
        .returning('public_id')
        .executeTakeFirst(),

    /** Shuts an account; its sessions are the caller's to end. Gives false when it was shut already. */
    async deactivate(id: number): Promise<boolean> {
      const deactivated = await changing(id)
        .where('is_active', '=', true)
        .set({ is_active: false, updated_at: clock() })
        .returning('id')
        .executeTakeFirst()
      return deactivated !== undefined
    },
  }
}
