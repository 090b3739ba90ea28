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
const integerParameter = (min: number, max: number, fallback: number, description: string) =>
  z
    .string('must be given once')
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(min, `must be at least ${min}`).max(max, `must be at most ${max}`))
    .default(fallback)
    .meta({ type: 'integer', minimum: min, maximum: max, default: fallback, pattern: undefined, description })

/** `page` and `per_page` of a list. */
export const pageParameters = {
  page: integerParameter(1, 2_147_483_647, 1, 'Which page, from 1.'),
  per_page: integerParameter(1, 100, 20, 'How many entries on a page.'),
}

export const publicIdPath = z.object({ public_id: uuid })
