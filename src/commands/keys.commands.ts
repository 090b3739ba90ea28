import type { Command } from 'commander'
import { generatedSecrets, newSecret } from '../core/environment.ts'
import { createEncryption } from '../core/security/encryption.ts'
import { reencrypt } from '../db/reencrypt.ts'
import { requireMigrated, withDatabase } from './context.ts'
import { complain, printJson, printTable, say } from './terminal.ts'

/** `app keys …`: the secrets. */
export function keysCommands(app: Command): void {
  const keys = app.command('keys').description('the secrets')

  keys
    .command('generate')
    .description('print new random secrets, as lines for .env; docs/security.md says how to change over to them')
    .action(() => {
      for (const name of generatedSecrets) say(`${name}=${newSecret(name)}`)
    })

  keys
    .command('rotate')
    .description(
      'encrypt what is still under an earlier ENCRYPTION_KEY again, under the first; exit code 1 when a value is under none',
    )
    .option('--json', 'print JSON')
    .action(({ json }: { json?: true }) =>
      withDatabase(async ({ database, config: { ENCRYPTION_KEY } }) => {
        await requireMigrated(database)
        const columns = await reencrypt(database, createEncryption(ENCRYPTION_KEY))
        const lost = columns.filter(({ unreadable }) => unreadable > 0)
        if (lost.length > 0) process.exitCode = 1
        if (json) return printJson({ columns })
        printTable(
          ['column', 'encrypted again', 'current already', 'unreadable'],
          columns.map(({ column, renewed, current, unreadable }) => [column, renewed, current, unreadable]),
        )
        for (const { column, unreadable } of lost)
          complain(`${column}: ${unreadable} under none of the keys, left as they are`)
      }, true),
    )
}
