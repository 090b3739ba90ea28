import type { Role } from '../models/enums.ts'

/** Where a request came from. */
export interface Client {
  readonly request_id: string
  readonly ip: string
  readonly user_agent: string | null
}

/** The account behind an access token, as the database knows it now. */
export interface Identity {
  readonly id: number
  readonly public_id: string
  readonly role: Role
  readonly is_verified: boolean
  /** The public id of the session. */
  readonly session_id: string
}

/** Who is asking, and from where. */
export interface Actor extends Identity {
  readonly client: Client
}
