import type { z } from 'zod'
import { ValidationError, type FieldError } from './errors.ts'

/** Faults told at most: enough to mend a form, too few to make a long answer of a hostile body. */
export const toldFaults = 20

/** Characters of a name that are told: the client chose it, and may have chosen a long one. */
export const toldName = 100

/**
 * What people or programs sent, as a schema has it.
 * @throws ValidationError that names each field at fault, and no value
 */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
  const { success, data, error } = schema.safeParse(input, { error: wording })
  if (success) return data
  throw new ValidationError(error.issues.slice(0, toldFaults).flatMap(fieldErrors))
}

/** What is wrong with a field, where its schema does not say so itself. */
const wording: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'invalid_type' && issue.input === undefined) return 'is required'
  if (issue.code === 'invalid_type') return `must be ${kinds[issue.expected] ?? issue.expected}`
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.join(', ')}`
  if (issue.code === 'too_small') return `must be at least ${issue.minimum}`
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`
  return undefined
}
const kinds: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  object: 'an object',
}

function fieldErrors(issue: z.core.$ZodIssue): FieldError[] {
  const at = (...more: PropertyKey[]) => [...issue.path, ...more].map(String).join('.').slice(0, toldName)
  if (issue.code === 'unrecognized_keys')
    return issue.keys.slice(0, toldFaults).map((key) => ({ field: at(key), message: 'is not a known field' }))
  return [{ field: at() || 'body', message: issue.message }]
}
