import { isUtf8 } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { buffer as readAll } from 'node:stream/consumers'
import type { CANCEL_SYMBOL } from '@clack/prompts'
import { ValidationError } from '../core/errors.ts'
import { complain, printable } from './terminal.ts'

/** The command was used wrongly. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** Somebody thought better of it. */
export class CancelledError extends Error {
  override name = 'CancelledError'
  constructor() {
    super('Nothing was changed.')
  }
}

/** Loaded by the commands that ask. */
const prompts = () => import('@clack/prompts')

const isTerminal = (): boolean => process.stdin.isTTY && process.stderr.isTTY

/** Characters. */
const barWidth = 30

/** Standard output is for results. */
const output = process.stderr

/**
 * Waits for an answer. At the end of the input (Ctrl+D, a terminal that is gone) the prompt would never settle, and
 * Node.js would end with a warning, code 13 and a hidden cursor: nothing is left to wait for then, and that is a no.
 */
async function answered<T>(ask: (signal: AbortSignal) => Promise<T | typeof CANCEL_SYMBOL>): Promise<T> {
  const over = new AbortController()
  let soon: NodeJS.Immediate | undefined
  const cancel = () => (soon = setImmediate(() => over.abort()))
  process.stdin.once('pause', cancel)
  const given = await ask(over.signal)
  process.stdin.off('pause', cancel)
  clearImmediate(soon)
  if (typeof given === 'symbol') throw new CancelledError()
  return given
}

/**
 * Gives what an option said, or else asks for it.
 * @throws UsageError when nobody is there to be asked
 */
export async function askFor(given: string | undefined, option: string, question: string): Promise<string> {
  if (given !== undefined) return given
  if (!isTerminal()) throw new UsageError(`${option} is missing, and there is no terminal to ask at`)
  const { text } = await prompts()
  return answered((signal) => text({ message: question, output, signal }))
}

/**
 * Goes on when told to.
 * @throws CancelledError when told not to; UsageError when nobody is there to be asked
 */
export async function confirm(question: string, yes: boolean | undefined): Promise<void> {
  if (yes) return
  if (!isTerminal()) throw new UsageError('Add --yes: there is no terminal to ask at')
  const { confirm: ask } = await prompts()
  if (!(await answered((signal) => ask({ message: printable(question), initialValue: false, output, signal }))))
    throw new CancelledError()
}

export interface PasswordOptions {
  passwordStdin?: true
  generatePassword?: true
}

/**
 * Gets a new password: asked for twice, read from standard input, or made, in which case it is the command's to
 * show. Never from an argument, which the list of processes and the shell's history would tell.
 * @param check throws ValidationError for one that will not do; then it is asked for again
 */
export async function newPassword(
  { passwordStdin, generatePassword }: PasswordOptions,
  check: (password: string) => Promise<void>,
): Promise<string> {
  if (passwordStdin && generatePassword) throw new UsageError('Give --password-stdin or --generate-password, not both')
  if (passwordStdin) return passwordOf(await readAll(process.stdin))
  if (generatePassword) return randomBytes(15).toString('base64url')
  if (!isTerminal())
    throw new UsageError('Add --password-stdin or --generate-password: there is no terminal to ask for a password at')
  const { password: ask } = await prompts()
  const first = await askUntilGood(() => answered((signal) => ask({ message: 'New password', output, signal })), check)
  await answered((signal) =>
    ask({
      message: 'The same again',
      output,
      signal,
      validate: (second) => (second === first ? undefined : 'That is another one'),
    }),
  )
  return first
}

/** @throws UsageError for bytes that nobody could type again: clients send UTF-8 */
function passwordOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new UsageError('The password on standard input is not UTF-8')
  // The line end is the shell's; everything before it is the password's.
  return new TextDecoder().decode(bytes).replace(/\r?\n$/, '')
}

/** Asks again while the answer will not do, and says why. */
async function askUntilGood(ask: () => Promise<string>, check: (answer: string) => Promise<void>): Promise<string> {
  for (;;) {
    const answer = await ask()
    try {
      await check(answer)
      return answer
    } catch (error) {
      if (!(error instanceof ValidationError)) throw error
      for (const { field, message } of error.errors ?? []) complain(`${field} ${message}`)
    }
  }
}

/**
 * Shows how far a long work is, on a terminal. Gives what to call after each step, and at the end. The terminal is
 * left as it is, so that Ctrl+C ends the process as always.
 */
export function showProgress(message: string, total: number) {
  if (!isTerminal() || total === 0) return { advance: () => {}, done: () => {} }
  let sum = 0
  const show = () => {
    const done = Math.floor((sum / total) * barWidth)
    const bar = '█'.repeat(done) + '░'.repeat(barWidth - done)
    output.write(`\r${message} ${bar} ${Math.floor((sum / total) * 100)} %`)
  }
  show()
  return {
    advance(steps: number) {
      sum += steps
      show()
    },
    done: () => void output.write('\n'),
  }
}
