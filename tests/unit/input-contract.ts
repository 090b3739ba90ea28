/**
 * What clients may send, written down apart from the schemas and as plainly as can be: each field's rule, and
 * values about its limits. The property tests hold the schemas to it.
 */
import fc from 'fast-check'

export type Part = 'body' | 'querystring' | 'params'

export const refused = Symbol('refused')
const absent = Symbol('absent')

export interface Field {
  /** What becomes of a value: another value, or `refused`. */
  read: (value: unknown) => unknown
  values: fc.Arbitrary<unknown>
  /** What becomes of the field when it is not sent: a default, `absent` or `refused`. */
  missing: unknown
}
const field = (read: Field['read'], values: Field['values']): Field => ({ read, values, missing: refused })
const optional = (given: Field, missing: unknown = absent): Field => ({ ...given, missing })

/** Mostly the first, now and then the second. */
const mostly = <T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 7, arbitrary: usual }, { weight: 1, arbitrary: rare })

/**
 * Text as short and as long as it may be, of letters with one to four bytes; now and then beyond that, and now
 * and then with a NUL or half of a surrogate pair in it.
 */
const about = (min: number, max: number, letters: string) =>
  fc
    .tuple(
      mostly(fc.constantFrom(min, min + 1, max - 1, max), fc.constantFrom(Math.max(0, min - 1), max + 1)),
      fc.constantFrom(...letters),
      mostly(fc.constant(''), fc.constantFrom('\0', '\ud83e', '\udd8a')),
    )
    .map(([length, letter, spoiler]) => letter.repeat(Math.max(0, length - spoiler.length)) + spoiler)
const space = fc.constantFrom('', ' ', '\t\n', '\u00a0', '\ufeff', '\u2003')
const padded = (value: fc.Arbitrary<string>) => fc.tuple(space, value, space).map((parts) => parts.join(''))

export const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
const readText = (min: number, max: number) => (value: unknown) =>
  isText(value) && [...value].length >= min && [...value].length <= max ? value : refused
const readInteger = (min: number, max: number) => (value: unknown) =>
  Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? value : refused

const text = (min: number, max: number) => field(readText(min, max), about(min, max, 'aé한🦊 '))
const trimmed = (min: number, max: number) =>
  field(
    (value) => readText(min, max)(typeof value === 'string' ? value.trim() : value),
    padded(about(min, max, 'aé한🦊')),
  )
const oneOf = (...values: unknown[]) =>
  field(
    (value) => (values.includes(value) ? value : refused),
    mostly<unknown>(fc.constantFrom(...values), fc.constantFrom('DRAFT', 6, '1')),
  )
const orNull = ({ read, values }: Field) =>
  field((value) => (value === null ? null : read(value)), fc.option(values, { freq: 3 }))
const parameter = (min: number, max: number) => {
  const read = (value: unknown) =>
    typeof value === 'string' && /^\d{1,10}$/.test(value) ? readInteger(min, max)(Number(value)) : refused
  const odd = fc.constantFrom('0', '-1', `${max + 1}`, '0'.repeat(10) + max, '1.0', '1e1', ' 1', '')
  return field(read, mostly(fc.constantFrom(`${min}`, `${max}`, '7', '007'), odd))
}

const emailAddress = /^[\w.+'-]*[\w+-]@([a-z\d-]+\.)+[a-z]{2,}$/
const email = field(
  (value) => {
    const address = typeof value === 'string' ? value.trim().toLowerCase() : ''
    return emailAddress.test(address) && address.length <= 254 ? address : refused
  },
  padded(
    fc
      .tuple(
        // The last is the Kelvin sign, which is a `k` in lower case; 242 letters make the longest address.
        mostly(
          fc.constantFrom('ada', 'Ada.Lovelace', 'ADA+1', 'a'.repeat(242), '\u212a'),
          fc.constantFrom('', 'ada@', 'ädä', 'a'.repeat(243)),
        ),
        mostly(fc.constantFrom('@example.com', '@Example.COM'), fc.constantFrom('@localhost', '.example.com')),
      )
      .map((parts) => parts.join('')),
  ),
)
/** For a refresh token, which is refused later if at all: no limit but that of the body. */
const anyText = field(readText(0, 1_048_576), about(0, 1000, 'aé한🦊 '))
const names = { first_name: trimmed(1, 100), last_name: trimmed(1, 100) }
/** Points in time, with what becomes of each. */
const times = new Map([
  ['2026-11-22T10:00:00Z', '2026-11-22T10:00:00.000Z'],
  ['2026-11-22T10:00:00.1239999Z', '2026-11-22T10:00:00.123Z'],
  ['2026-11-22T10:00:00.000+02:00', '2026-11-22T08:00:00.000Z'],
  ['2024-02-29T23:30:00-01:00', '2024-03-01T00:30:00.000Z'],
  ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000Z'],
  ['9999-12-31T23:59:59.999Z', '9999-12-31T23:59:59.999Z'],
])
const time = field(
  (value) => times.get(value as string) ?? refused,
  mostly(
    fc.constantFrom(...times.keys()),
    fc.constantFrom(
      '2026-11-22',
      '2026-11-22T10:00:00',
      '2026-11-22 10:00:00Z',
      '2026-02-29T00:00:00Z',
      '2026-11-22T24:00:00Z',
      '0000-12-31T00:00:00Z',
      '0001-01-01T00:00:00+01:00',
      '9999-12-31T23:59:59-01:00',
      'infinity',
      'now',
      '',
    ),
  ),
)
const yesOrNo = field(
  (value) => (value === 'true' || value === 'false' ? value === 'true' : refused),
  mostly(fc.constantFrom('true', 'false'), fc.constantFrom('', '1', 'TRUE', 'yes')),
)
const status = oneOf('draft', 'active', 'archived')
const priority = oneOf(1, 2, 3, 4, 5)
const description = orNull(text(0, 10_000))
const publicId = field(
  (value) =>
    /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(String(value)) && typeof value === 'string'
      ? value.toLowerCase()
      : refused,
  mostly(
    fc.oneof(
      fc.uuid(),
      fc.uuid().map((id) => id.toUpperCase()),
    ),
    fc.constantFrom('', '1', '../..'),
  ),
)
const list = {
  page: optional(parameter(1, 2_147_483_647)),
  per_page: optional(parameter(1, 100), 20),
  cursor: optional(text(1, 1000)),
  include_total: optional(yesOrNo, true),
  sort: optional(oneOf('created_at', '-created_at', 'priority', '-priority', 'name', '-name'), '-created_at'),
  status: optional(status),
  priority: optional(parameter(1, 5)),
  owner: optional(publicId),
  created_after: optional(time),
  created_before: optional(time),
}
const path = { params: { public_id: publicId } }

export const contract: Record<string, Partial<Record<Part, Record<string, Field>>>> = {
  register: { body: { email, password: text(8, 128), ...names } },
  login: { body: { email, password: text(1, 128) } },
  refresh: { body: { refresh_token: anyText } },
  logout: { body: { refresh_token: anyText } },
  revokeSession: path,
  updateProfile: { body: { first_name: optional(names.first_name), last_name: optional(names.last_name) } },
  changePassword: { body: { old_password: text(1, 128), new_password: text(8, 128) } },
  listItems: { querystring: list },
  searchItems: { querystring: { q: text(1, 100), ...list } },
  createItem: {
    body: {
      name: trimmed(1, 100),
      description: optional(description, null),
      status: optional(status, 'draft'),
      priority: optional(priority, 1),
    },
  },
  getItem: path,
  updateItem: {
    ...path,
    body: {
      name: optional(trimmed(1, 100)),
      description: optional(description),
      status: optional(status),
      priority: optional(priority),
    },
  },
  deleteItem: path,
}

/** What the contract makes of an input: the value that handlers get, or `refused`. */
export function model(fields: Record<string, Field>, input: unknown, part: Part): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return refused
  if (part !== 'params' && Object.keys(input).some((name) => !Object.hasOwn(fields, name))) return refused
  const value = Object.entries(fields).map(([name, { read, missing }]) => [
    name,
    Object.hasOwn(input, name) ? read((input as Record<string, unknown>)[name]) : missing,
  ])
  if (value.some(([, read]) => read === refused)) return refused
  return Object.fromEntries(value.filter(([, read]) => read !== absent))
}
