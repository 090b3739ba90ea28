import type { Api } from './api.ts'

interface Tokens {
  refresh_token: string
}

/** The public id of the session that a refresh token belongs to. */
export const idOf = ({ refresh_token }: Tokens): string => refresh_token.split('.')[2]!

/** Its row, as the database holds it. */
export const rowOf = (api: Api, tokens: Tokens) =>
  api.database
    .query()
    .selectFrom('sessions')
    .selectAll()
    .where('public_id', '=', idOf(tokens))
    .executeTakeFirstOrThrow()
