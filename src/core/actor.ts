import type { Role } from '../models/enums.ts'

/** Who is asking: the account behind an access token, as the database knows it now. */
export interface Actor {
  readonly id: number
  readonly public_id: string
  readonly role: Role
  readonly is_verified: boolean
  /** The public id of the session. */
  readonly session_id: string
}
