import { z } from 'zod'
import { roles } from '../models/enums.ts'
import { text, timestamps, trimmed, uuid } from './mixins.ts'
import { message, success } from './responses.ts'

export const email = z
  .string()
  .trim()
  .toLowerCase()
  .refine((value) => value.length <= 254, { message: 'must have at most 254 characters', abort: true })
  .regex(z.regexes.email, 'must be an e-mail address')
  .meta({ format: 'email', maxLength: 254, examples: ['ada@example.com'] })

/** A password to be set. Taken to the letter; the service applies the rules that depend on the configuration. */
export const newPassword = text(8, 128).meta({
  format: 'password',
  description: 'Any characters. Refused when it is among the common ones, or is the e-mail or the name of the service.',
  examples: ['correct horse battery staple'],
})

/** A password to be compared: whatever was accepted once, so no lower limit. */
export const password = text(1, 128).meta({ format: 'password', examples: ['correct horse battery staple'] })

export const names = {
  first_name: trimmed(1, 100).meta({ examples: ['Ada'] }),
  last_name: trimmed(1, 100).meta({ examples: ['Lovelace'] }),
}

const profile = z
  .object({
    public_id: uuid,
    email,
    ...names,
    role: z.enum(roles).meta({ examples: ['user'] }),
    is_active: z.boolean(),
    is_verified: z.boolean(),
    ...timestamps,
  })
  .meta({ id: 'Profile' })

const profileUpdate = z.strictObject(names).partial().meta({ id: 'ProfileUpdate' })
const passwordChange = z
  .strictObject({ old_password: password, new_password: newPassword })
  .meta({ id: 'PasswordChange' })

export type ProfileUpdate = z.output<typeof profileUpdate>
export type PasswordChange = z.output<typeof passwordChange>

const tags = ['users']

export const getProfile = {
  operationId: 'getProfile',
  tags,
  summary: "Get one's own profile",
  description: 'The account that the access token was made for.',
  versioned: true,
  response: { 200: success(profile) },
}

export const updateProfile = {
  operationId: 'updateProfile',
  tags,
  summary: "Change one's own profile",
  description: 'Only the fields sent change.',
  body: profileUpdate,
  versioned: true,
  response: { 200: success(profile) },
}

export const changePassword = {
  operationId: 'changePassword',
  tags,
  summary: "Change one's own password",
  description: 'Ends every other session of the account. A wrong `old_password` is 401 `invalid_credentials`.',
  body: passwordChange,
  response: { 200: success(message) },
}

export const deactivate = {
  operationId: 'deactivateAccount',
  tags,
  summary: "Deactivate one's own account",
  description:
    'Ends every session at once, this one included. Nobody can sign in until an administrator activates the account again.',
  response: { 200: success(message) },
}
