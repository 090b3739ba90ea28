import type { Command } from 'commander'
import { parseInput } from '../core/input.ts'
import { accountReference, sessionReference } from '../schemas/account.schema.ts'
import { operator, withServices } from './context.ts'
import { UsageError } from './questions.ts'
import { printJson, printRecord, printTable, say } from './terminal.ts'

interface Json {
  json?: true
}

/** `app sessions …`: who is signed in. */
export function sessionsCommands(app: Command): void {
  const sessions = app.command('sessions').description('the sessions')

  sessions
    .command('list')
    .description('show the live sessions of an account, newest first, at most 100')
    .argument('<user>', 'e-mail or public id')
    .option('--json', 'print JSON')
    .action((user: string, { json }: Json) =>
      withServices(async ({ accounts }) => {
        const found = await accounts.sessions(parseInput(accountReference, { user }).user)
        if (json) return printJson({ sessions: found })
        printTable(
          ['public_id', 'created_at', 'last_used_at', 'ip', 'user_agent'],
          found.map((session) => [
            session.public_id,
            session.created_at,
            session.last_used_at,
            session.ip,
            session.user_agent,
          ]),
        )
      }),
    )

  sessions
    .command('revoke')
    .description('end a session, or every session of an account: its tokens die at once')
    .argument('[session]', 'public id of a session')
    .option('--user <user>', 'every session of this account: e-mail or public id')
    .action((session: string | undefined, { user }: { user?: string }) => {
      if ((session === undefined) === (user === undefined)) throw new UsageError('Name either a session or --user')
      return withServices(async ({ accounts }) => {
        const client = operator('sessions revoke')
        if (user === undefined) {
          await accounts.endSession(parseInput(sessionReference, { session }).session, client)
          say(`${session} has ended.`)
        } else {
          const ended = await accounts.endSessions(parseInput(accountReference, { user }).user, client)
          say(`Sessions ended: ${ended}.`)
        }
      })
    })

  sessions
    .command('purge')
    .description(
      'delete sessions that ended a month ago, forgotten attempts, and stored answers and audit events past their time',
    )
    .option('--json', 'print JSON')
    .action(({ json }: Json) =>
      withServices(async ({ purge }) => {
        const deleted = await purge.run()
        if (json) printJson({ deleted })
        else printRecord(deleted)
      }),
    )
}
