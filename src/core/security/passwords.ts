import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import type { Config } from '../config.ts'
import { ValidationError } from '../errors.ts'
import { createLimiter } from '../limiter.ts'

/** Password hashings that may wait for their turn, in all workers; at 64 MiB and some 30 ms each, about three seconds of work. */
const queued = 128

export interface Passwords {
  /** Whether hashing can be asked for at all: it spares the rest of a request. @throws UnavailableError when too many are waiting */
  requireRoom(): void
  /** Argon2id, as a PHC string. @throws UnavailableError when too many are waiting */
  hash(password: string): Promise<string>
  /**
   * Compares a password with a stored hash. Without a hash (no such account) it does the same work
   * on a dummy, so that the time tells nothing, and gives false.
   */
  verify(stored: string | undefined, password: string): Promise<boolean>
  /** Whether a hash was made with other parameters than the present ones. */
  isOutdated(stored: string): boolean
  /**
   * Applies the rules of NIST SP 800-63B: length and blocklist, no composition rules.
   * @param field the name of the field to blame
   * @throws ValidationError
   */
  check(field: string, password: string, email: string): Promise<void>
}

/** Passwords under the parameters and rules of the configuration; hashing runs beside the event loop, a few at a time. */
export function createPasswords(config: Config): Passwords {
  const options = {
    memoryCost: config.ARGON2_MEMORY_COST,
    timeCost: config.ARGON2_TIME_COST,
    parallelism: config.ARGON2_PARALLELISM,
  }
  const prefix = `$argon2id$v=19$m=${options.memoryCost},t=${options.timeCost},p=${options.parallelism}$`
  // One hashing keeps as many cores busy as it has lanes. More at once would only take the event loop's share.
  // Workers share the cores, and have each a share of the queue: it takes as long as a whole one did.
  const workers = config.WEB_CONCURRENCY
  const atOnce = Math.max(1, Math.floor(availableParallelism() / options.parallelism / workers))
  const { run, requireRoom } = createLimiter(atOnce, Math.ceil(queued / workers))
  let dummy: Promise<string> | undefined
  const makeDummy = () =>
    hash(randomUUID(), options).catch((error: unknown) => {
      // Another time there may be memory for it.
      dummy = undefined
      throw error
    })

  return {
    requireRoom,
    hash: (password) => run(() => hash(password, options)),
    async verify(stored, password) {
      // Also where it is not needed: otherwise the first unknown e-mail would cost two hashings, and tell by its time.
      const substitute = await (dummy ??= makeDummy())
      const matches = await run(() => verify(stored ?? substitute, password))
      return matches && stored !== undefined
    },
    isOutdated: (stored) => !stored.startsWith(prefix),
    async check(field, password, email) {
      const refuse = (message: string) => new ValidationError([{ field, message }])
      if ([...password].length < config.PASSWORD_MIN_LENGTH)
        throw refuse(`must have at least ${config.PASSWORD_MIN_LENGTH} characters`)
      const lowerCase = password.toLowerCase()
      const context = [
        email,
        email.split('@')[0]!,
        config.APP_NAME.toLowerCase(),
        config.APP_NAME.toLowerCase().replaceAll(' ', ''),
      ]
      if (context.includes(lowerCase))
        throw refuse('must not be the e-mail address, a part of it, or the name of this service')
      if ((await commonPasswords()).has(lowerCase)) throw refuse('is among the most common passwords: choose another')
    },
  }
}

let common: Promise<Set<string>> | undefined

/** Some 49 000 passwords from published leaks, read on first use. */
function commonPasswords(): Promise<Set<string>> {
  return (common ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set<string>(dictionary['passwords-common']),
  ))
}
