import { z } from 'zod'
import { time } from './mixins.ts'

/** The envelope of a success around `data`. */
export const success = <T extends z.ZodType>(data: T) => z.object({ success: z.literal(true), data, timestamp: time })

export const message = z.object({ message: z.string().meta({ examples: ['Done'] }) }).meta({ id: 'Message' })

export const pagination = z
  .object({
    total: z
      .int()
      .optional()
      .meta({ description: 'How many there are; not with `include_total=false`.', examples: [42] }),
    page: z
      .int()
      .optional()
      .meta({ description: 'Not behind a `cursor`.', examples: [1] }),
    per_page: z.int().meta({ examples: [20] }),
    total_pages: z
      .int()
      .optional()
      .meta({ examples: [3] }),
    has_next: z.boolean(),
    has_prev: z.boolean(),
    next_cursor: z
      .string()
      .nullable()
      .meta({ description: 'Send it as `cursor` for the next page; null on the last.' }),
  })
  .meta({ id: 'Pagination' })

const fieldErrors = z
  .array(z.object({ field: z.string().meta({ examples: ['email'] }), message: z.string() }))
  .optional()
  .meta({ description: 'Only where fields are at fault.' })

const code = z.string().meta({ description: 'What happened, for programs.', examples: ['validation_error'] })

export const errorReply = z
  .object({
    success: z.literal(false),
    message: z.string().meta({ description: 'What happened, for people.' }),
    code,
    errors: fieldErrors,
    request_id: z.string().meta({ description: 'The same as in the `X-Request-Id` header and in the log.' }),
    timestamp: time,
  })
  .meta({ id: 'Error' })

export const problemReply = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code,
    errors: fieldErrors,
    request_id: z.string(),
  })
  .meta({
    id: 'Problem',
    description: 'The same error as RFC 9457 problem details, for clients that accept `application/problem+json`.',
  })
