import { ConfigError, readConfig, type Config } from './config.ts'
import { loadEnvironment } from './environment.ts'

/** Ends the process with a message for people, on one line or a few, instead of a stack. */
export function exitWith(message: string): never {
  console.error(message)
  process.exit(1)
}

/** Why something was unavailable, in the driver's words; those of several addresses tried are empty. */
export const reasonOf = ({ cause }: Error): string =>
  cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || cause.name : 'no reason given'

/** Reads the configuration, or ends the process telling every fault in it. */
export function configOrExit(): Config {
  try {
    return readConfig(loadEnvironment())
  } catch (error) {
    if (error instanceof ConfigError) exitWith(error.message)
    throw error
  }
}
