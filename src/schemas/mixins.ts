import { z } from 'zod'

/** Characters as people count them: code points, not UTF-16 units. */
const inRange = (value: string, min: number, max: number) => {
  // A code point has one unit or two, so most strings need not be counted.
  if (value.length > 2 * max) return false
  if (value.length >= 2 * min && value.length <= max) return true
  const length = [...value].length
  return length >= min && length <= max
}

const lengthMessage = (min: number, max: number) =>
  min === 0 ? `must have at most ${max} characters` : `must have ${min} to ${max} characters`

/** NUL cannot be stored by PostgreSQL, and a lone surrogate is no character. */
const isStorable = (value: string) => value.isWellFormed() && !value.includes('\0')

const bounded = (schema: z.ZodString, min: number, max: number) =>
  schema
    .refine((value) => inRange(value, min, max), { message: lengthMessage(min, max), abort: true })
    .refine(isStorable, { message: 'must be well-formed Unicode without NUL', abort: true })
    .meta({ minLength: min, maxLength: max })

/** Text of `min` to `max` characters, taken to the letter. */
export const text = (min: number, max: number) => bounded(z.string(), min, max)

/** The same, without the white space around it. */
export const trimmed = (min: number, max: number) => bounded(z.string().trim(), min, max)

/** A public id. Any UUID is well formed, whichever version. */
export const uuid = z
  .guid('must be a UUID')
  .toLowerCase()
  .meta({ format: 'uuid', examples: ['f47ac10b-58cc-4372-a567-0e02b2c3d479'] })

export const time = z.iso.datetime({ precision: 3 }).meta({ examples: ['2026-11-22T10:00:00.000Z'] })

export const timestamps = { created_at: time, updated_at: time }

/** A whole number in a query string, where everything arrives as text. */
export const integerParameter = (min: number, max: number) =>
  z
    .string('must be given once')
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
    .meta({ type: 'integer', minimum: min, maximum: max, pattern: undefined })

/** A point in time in a query string, with any offset from UTC. */
export const timeParameter = z.iso
  .datetime({ offset: true, error: 'must be a time such as 2026-11-22T10:00:00Z' })
  .transform((value) => new Date(value).toISOString())
  // Others have no such form, and PostgreSQL knows no year 0.
  .refine((value) => /^(?!0000)\d{4}-/.test(value), 'must be in the years 1 to 9999')
  .meta({ type: 'string', format: 'date-time', examples: ['2026-11-22T10:00:00Z'] })

const pageNumber = integerParameter(1, 2_147_483_647)
const perPage = integerParameter(1, 100)
  .default(20)
  .meta({ ...integerParameter(1, 100).meta(), default: 20, description: 'How many entries on a page.' })

/** `page` and `per_page` of a list. */
export const pageParameters = {
  page: pageNumber.default(1),
  per_page: perPage,
}

/** Of a list that may be long: pages by their numbers, or one after another. */
export const cursorParameters = {
  page: pageNumber.optional().meta({
    description: 'Which page, from 1, the first by default. The deeper, the slower; with `cursor` it is not so.',
  }),
  per_page: perPage,
  cursor: text(1, 1000)
    .optional()
    .meta({ description: 'The `next_cursor` of a page, for the next one. Send the same `sort` and filters with it.' }),
  include_total: z
    .enum(['true', 'false'], 'must be true or false')
    .transform((value) => value === 'true')
    .default(true)
    .meta({
      type: 'boolean',
      enum: undefined,
      description: 'Whether to count all that match. That takes the longer the more there are.',
    }),
}

export const publicIdPath = z.object({ public_id: uuid })
