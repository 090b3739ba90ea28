#!/usr/bin/env node
import { CommanderError } from 'commander'
import { exitCodes } from './commands/exit-codes.ts'
import { createProgram } from './commands/program.ts'
import { CancelledError, UsageError } from './commands/questions.ts'
import { complain } from './commands/terminal.ts'
import { ConfigError } from './core/config.ts'
import { UnavailableError, ValidationError } from './core/errors.ts'
import { reasonOf } from './core/start.ts'

const { failed, misused, unavailable, cancelled } = exitCodes

// Whoever reads our output may have enough of it, such as `head`. What was begun is done all the same.
process.stderr.on('error', () => {})
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') return
  if (process.exitCode !== failed) complain(`Standard output: ${message}`)
  process.exitCode = failed
})

try {
  await createProgram().parseAsync()
} catch (error) {
  process.exitCode = explain(error as Error)
}

/** Tells what went wrong. Gives the exit code. */
function explain(error: Error): number {
  // Commander has told already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : misused
  if (error instanceof UnavailableError) {
    complain(`${error.message} (${reasonOf(error)}): look at DATABASE_URL`)
    return unavailable
  }
  if (error instanceof ValidationError) {
    for (const { field, message } of error.errors ?? []) complain(`${field} ${message}`)
    return misused
  }
  if (error instanceof ConfigError) {
    for (const line of error.message.split('\n')) complain(line)
    return misused
  }
  complain(error.message)
  if (error instanceof CancelledError) return cancelled
  return error instanceof UsageError ? misused : failed
}
