import { Argument, Option, type Command } from 'commander'
import { parseInput } from '../core/input.ts'
import { roles, type Role } from '../models/enums.ts'
import { accountCreate, accountQuery, accountReference } from '../schemas/account.schema.ts'
import { operator, withServices } from './context.ts'
import { askFor, newPassword, type PasswordOptions } from './questions.ts'
import { printJson, printRecord, printTable, say } from './terminal.ts'

interface CreateOptions extends PasswordOptions {
  firstName?: string
  lastName?: string
  role?: Role
  verified?: true
  json?: true
}

interface ListOptions {
  role?: Role
  active?: boolean
  verified?: boolean
  search?: string
  page: string
  perPage: string
  json?: true
}

const account = '<user>'
const accountHelp = 'e-mail or public id'
const named = (user: string): string => parseInput(accountReference, { user }).user

/** Options that say where a new password comes from; without one it is asked for. */
const withPassword = (command: Command): Command =>
  command
    .option('--password-stdin', 'read the password from standard input')
    .option('--generate-password', 'make one, and print it')

/** `app users …`: what operators do with accounts. */
export function usersCommands(app: Command): void {
  const users = app.command('users').description('the accounts')

  withPassword(users.command('create'))
    .description('make an account')
    .argument('<email>')
    .option('--first-name <name>')
    .option('--last-name <name>')
    .addOption(new Option('--role <role>', 'what it may do').choices(roles).default('user'))
    .option('--verified', "its e-mail is known to be its owner's")
    .option('--json', 'print JSON')
    .action((given: string, options: CreateOptions) =>
      withServices(async ({ accounts }) => {
        const { email } = parseInput(accountCreate.pick({ email: true }), { email: given })
        await accounts.requireFree(email)
        const first_name = await askFor(options.firstName, '--first-name', 'First name')
        const last_name = await askFor(options.lastName, '--last-name', 'Last name')
        const password = await newPassword(options, (candidate) => accounts.checkPassword(candidate, email))
        const input = { email, first_name, last_name, password, role: options.role, is_verified: options.verified }
        const public_id = await accounts.create(parseInput(accountCreate, input), operator('users create'))
        const shown = { public_id, email, ...(options.generatePassword && { password }) }
        if (options.json) printJson(shown)
        else printRecord(shown)
      }),
    )

  users
    .command('list')
    .description('show accounts, newest first')
    .addOption(new Option('--role <role>', 'those with this role').choices(roles))
    .option('--active', 'those that may sign in')
    .option('--no-active', 'those that were deactivated')
    .option('--verified', 'those whose e-mail is verified')
    .option('--no-verified', 'those whose e-mail is not')
    .option('--search <text>', 'those with this in their e-mail or name')
    .option('--page <n>', 'which page', '1')
    .option('--per-page <n>', 'how many on a page, at most 100', '20')
    .option('--json', 'print JSON')
    .action((options: ListOptions) =>
      withServices(async ({ accounts }) => {
        const { role, active, verified, search, page, perPage } = options
        const query = { role, is_active: active, is_verified: verified, search, page, per_page: perPage }
        const found = await accounts.list(parseInput(accountQuery, query))
        if (options.json) return printJson(found)
        printTable(
          ['public_id', 'email', 'first_name', 'last_name', 'role', 'active', 'verified', 'last_login'],
          found.users.map((user) => [
            user.public_id,
            user.email,
            user.first_name,
            user.last_name,
            user.role,
            user.is_active,
            user.is_verified,
            user.last_login,
          ]),
        )
        const { total, total_pages } = found.pagination
        if (process.stdout.isTTY) say(`page ${page} of ${total_pages}, ${total} in all`)
      }),
    )

  users
    .command('show')
    .description('show an account')
    .argument(account, accountHelp)
    .option('--json', 'print JSON')
    .action((name: string, { json }: { json?: true }) =>
      withServices(async ({ accounts }) => {
        const found = await accounts.show(named(name))
        if (json) printJson(found)
        else printRecord(found)
      }),
    )

  users
    .command('deactivate')
    .description('shut an account and end its sessions, at once')
    .argument(account, accountHelp)
    .action((name: string) =>
      withServices(async ({ accounts }) => {
        const isNew = await accounts.deactivate(named(name), operator('users deactivate'))
        say(isNew ? `${name} is deactivated, and its sessions have ended.` : `${name} was deactivated already.`)
      }),
    )

  users
    .command('activate')
    .description('let the owner of a deactivated account sign in again')
    .argument(account, accountHelp)
    .action((name: string) =>
      withServices(async ({ accounts }) => {
        const isNew = await accounts.activate(named(name), operator('users activate'))
        say(isNew ? `${name} may sign in again.` : `${name} was active already.`)
      }),
    )

  withPassword(users.command('reset-password'))
    .description('set a new password and end every session of the account')
    .argument(account, accountHelp)
    .option('--json', 'print JSON')
    .action((name: string, options: PasswordOptions & { json?: true }) =>
      withServices(async ({ accounts }) => {
        const user = named(name)
        // Nobody should think of a password for an account that is not there.
        const { email } = await accounts.show(user)
        const password = await newPassword(options, (given) => accounts.checkPassword(given, email))
        const ended = await accounts.resetPassword(user, password, operator('users reset-password'))
        const shown = { sessions_ended: ended, ...(options.generatePassword && { password }) }
        if (options.json) printJson(shown)
        else printRecord(shown)
      }),
    )

  users
    .command('set-role')
    .description('give an account another role, from its next request on')
    .argument(account, accountHelp)
    .addArgument(new Argument('<role>').choices(roles))
    .action((name: string, role: Role) =>
      withServices(async ({ accounts }) => {
        const isNew = await accounts.setRole(named(name), role, operator('users set-role'))
        say(isNew ? `${name} has the role ${role}.` : `${name} had the role ${role} already.`)
      }),
    )

  users
    .command('verify')
    .description("note that the e-mail is its owner's")
    .argument(account, accountHelp)
    .action((name: string) =>
      withServices(async ({ accounts }) => {
        const isNew = await accounts.verify(named(name), operator('users verify'))
        say(isNew ? `${name} is verified.` : `${name} was verified already.`)
      }),
    )
}
