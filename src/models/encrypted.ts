/**
 * The columns that are stored encrypted: text in the code, Fernet tokens in the database (`db/encryption.ts`
 * translates). It lists what the models declare with `encrypted()`, apart from them so that the server
 * need not load the ORM; a test holds the two together.
 */
export const encryptedColumns = {
  sessions: ['ip'],
  users: ['last_login_ip'],
  audit_events: ['ip'],
} as const
