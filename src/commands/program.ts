import { Command } from 'commander'
import { version } from '../core/version.ts'
import { dbCommands } from './db.commands.ts'
import { keysCommands } from './keys.commands.ts'
import { serviceCommands } from './service.commands.ts'
import { sessionsCommands } from './sessions.commands.ts'
import { usersCommands } from './users.commands.ts'

/** Builds the command `app`, with all that can follow it. */
export function createProgram(): Command {
  const app = new Command('app')
    .description('Operates this service. Commands obey the same rules as requests, and leave the same security events.')
    .version(version)
    .exitOverride()
    .addHelpText(
      'after',
      `
Exit codes:
  0    done
  1    it failed, or the answer is no
  2    used or configured wrongly
  3    the database is away: try again later
  130  cancelled when asked`,
    )
  for (const add of [dbCommands, usersCommands, sessionsCommands, keysCommands, serviceCommands]) add(app)
  return app
}
