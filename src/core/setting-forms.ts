import { isIP } from 'node:net'
import { z } from 'zod'

// The forms that settings have: what is read from a text of the environment, and what is said of a bad one.

/** What the secrets hold in `.env.example`; nothing starts with it. */
export const sampleSecret = 'change-me'

export const text = z.string()
export const flag = z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true')
export const list = text.transform((value) =>
  value
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean),
)

/** A whole number from `min` to `max`. */
export const integer = (min: number, max: number) =>
  text
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be from ${min} to ${max}`)

export const notSample = (value: string) => !value.toLowerCase().includes(sampleSecret)
export const secret = text
  .refine(notSample, 'is the sample value: make one of your own, for example with "openssl rand -base64 48"')
  .refine((value) => Buffer.byteLength(value) >= 32, 'must be at least 32 bytes')
  // It must fit into the list of previous ones some day.
  .refine((value) => !value.includes(','), 'must not contain a comma')
export const previousSecrets = list.pipe(z.array(secret))

export const fernetKey = text.regex(/^[\w-]{43}=?$/, 'must be Fernet keys: 32 bytes each, in URL-safe base64')

export const databaseUrl = text
  .refine((value) => value.startsWith('sqlite:///') || URL.canParse(value), 'is not a URL')
  .regex(
    /^(sqlite:\/\/\/.+|postgres(ql)?:\/\/.+)$/,
    'must be sqlite:///file.db, sqlite:////absolute/file.db, sqlite:///:memory: or postgresql://user:password@host:5432/name',
  )

export const origin = text.refine(
  (value) => value === '*' || (URL.canParse(value) && new URL(value).origin === value),
  'must be origins such as https://app.example.com, separated by commas',
)

export const network = text.refine((value) => {
  const [address = '', bits, ...rest] = value.split('/')
  const most = { 4: 32, 6: 128 }[isIP(address)]
  return (
    most !== undefined && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most))
  )
}, 'must be addresses such as 10.0.0.1 or networks such as 10.0.0.0/8, separated by commas')
