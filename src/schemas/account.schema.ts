import { z } from 'zod'
import { roles } from '../models/enums.ts'
import { pageParameters, text, uuid } from './mixins.ts'
import { email, names, newPassword } from './user.schema.ts'

// What operators say on the command line.

/** An account, by its e-mail or its public id. */
export const accountReference = z.strictObject({
  user: z
    .string()
    .trim()
    .toLowerCase()
    .refine(
      (value) => [email, uuid].some((schema) => schema.safeParse(value).success),
      'must be an e-mail address or a public id',
    ),
})

export const sessionReference = z.strictObject({ session: uuid })

export const accountCreate = z.strictObject({
  email,
  ...names,
  password: newPassword,
  role: z.enum(roles).default('user'),
  is_verified: z.boolean().default(false),
})

export const accountQuery = z.strictObject({
  ...pageParameters,
  role: z.enum(roles).optional(),
  is_active: z.boolean().optional(),
  is_verified: z.boolean().optional(),
  search: text(1, 100).optional(),
})

export type AccountCreate = z.output<typeof accountCreate>
export type AccountQuery = z.output<typeof accountQuery>
