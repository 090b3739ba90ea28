import { z } from 'zod'
import { publicIdPath, text, time, uuid } from './mixins.ts'
import { message, success } from './responses.ts'
import { email, names, newPassword, password } from './user.schema.ts'

const registration = z.strictObject({ email, password: newPassword, ...names }).meta({ id: 'Registration' })
const credentials = z.strictObject({ email, password }).meta({ id: 'Credentials' })

/** As long as a body can be. */
const mebibyte = 1_048_576

// Any string: whatever is no token of ours gets the same answer as a dead one.
const refreshToken = z
  .strictObject({
    refresh_token: text(0, mebibyte).meta({
      examples: ['r1.Yp0dLq3v.f47ac10b-58cc-4372-a567-0e02b2c3d479.0.3q2-7wAbCdEf'],
    }),
  })
  .meta({ id: 'RefreshToken' })

const tokenPair = z
  .object({
    access_token: z.string().meta({ description: 'For the `Authorization: Bearer` header.' }),
    refresh_token: z.string().meta({ description: 'For one refresh; the answer brings its successor.' }),
    token_type: z.literal('Bearer'),
    expires_in: z.int().meta({ description: 'Seconds that the access token lives.', examples: [900] }),
  })
  .meta({ id: 'TokenPair' })

const session = z
  .object({
    public_id: uuid,
    created_at: time,
    last_used_at: time.meta({ description: 'When it was last refreshed.' }),
    ip: z
      .string()
      .nullable()
      .meta({ examples: ['203.0.113.7'] }),
    user_agent: z
      .string()
      .nullable()
      .meta({ examples: ['curl/8.5.0'] }),
    current: z.boolean().meta({ description: 'Whether it is the session of this request.' }),
  })
  .meta({ id: 'Session' })

export type Registration = z.output<typeof registration>
export type Credentials = z.output<typeof credentials>
export type TokenPair = z.output<typeof tokenPair>

const tags = ['auth']

export const register = {
  operationId: 'register',
  tags,
  summary: 'Register an account',
  description: 'Makes the account and signs it in. An e-mail that is in use, in any letter case, is 409.',
  body: registration,
  response: { 201: success(tokenPair) },
  errors: ['conflict' as const],
}

export const login = {
  operationId: 'login',
  tags,
  summary: 'Sign in',
  description: 'An unknown e-mail, a wrong password and a deactivated account get the same answer, in the same time.',
  body: credentials,
  response: { 200: success(tokenPair) },
  errors: ['invalid_credentials' as const],
}

export const refresh = {
  operationId: 'refresh',
  tags,
  summary: 'Get new tokens for a refresh token',
  description:
    'Each refresh token is for one use. Sent again at once, or when its successor was never used, it gets the same successor (a lost answer, a second tab). Any other reuse is theft: the session ends.',
  body: refreshToken,
  response: { 200: success(tokenPair) },
  errors: ['invalid_token' as const],
}

export const logout = {
  operationId: 'logout',
  tags,
  summary: 'Sign out',
  description:
    'Ends the session of the refresh token, and with it the access tokens. Always succeeds, for a dead token too.',
  body: refreshToken,
  response: { 200: success(message) },
}

export const logoutAll = {
  operationId: 'logoutAll',
  tags,
  summary: 'Sign out everywhere',
  description: 'Ends every session of the account, this one included.',
  response: {
    200: success(
      z.object({
        message: z.string(),
        tokens_revoked: z.int().meta({ description: 'Sessions ended.', examples: [2] }),
      }),
    ),
  },
}

export const listSessions = {
  operationId: 'listSessions',
  tags,
  summary: "List one's own sessions",
  description: 'The live ones, newest first; at most 100.',
  response: { 200: success(z.array(session)) },
}

export const revokeSession = {
  operationId: 'revokeSession',
  tags,
  summary: "End one of one's own sessions",
  description: "Its tokens die at once. Another account's session is 404.",
  params: publicIdPath,
  response: { 200: success(message) },
}
