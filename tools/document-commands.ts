// Writes docs/commands.md from the command line itself. With --check it writes nothing and fails when the page is
// out of step.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { createProgram } from '../src/commands/program.ts'
import { projectRoot } from '../src/core/config.ts'

const { commands } = createProgram()
const groups = commands.filter((command) => command.commands.length > 0)
const others = commands.filter((command) => command.commands.length === 0)
const sentence = (text: string) => `${text[0]!.toUpperCase()}${text.slice(1)}.`

function describe(command: Command): string[] {
  const help = command.createHelp()
  const rows = [
    ...command.registeredArguments.map((argument) => [help.argumentTerm(argument), help.argumentDescription(argument)]),
    ...command.options.map((option) => [help.optionTerm(option), help.optionDescription(option)]),
  ].map(([term, meaning]) => `- \`${term}\`${meaning ? `: ${meaning}` : ''}`)
  const usage = help.commandUsage(command).replace(' [options]', '')
  return [`### \`${usage}\``, '', sentence(command.description()), '', ...rows, ...(rows.length > 0 ? [''] : [])]
}

const page = [
  '# Commands',
  '',
  '`npx app …` in the project, `app …` in the container. `--help` works on each level. This page is written by',
  '`npm run docs:commands` from the commands themselves.',
  '',
  'Results go to standard output: as a table on a terminal, otherwise as lines of fields between tabs; as JSON with `--json`.',
  'Questions, progress and complaints go to standard error. Questions are asked on a terminal only: in a script, options answer them.',
  '',
  'Commands go through the same services as requests: rules, security events and the end of sessions are the same. An event says',
  'which command it was and which user of the system ran it.',
  '',
  '| exit code | meaning |',
  '| --- | --- |',
  '| 0 | done |',
  '| 1 | it failed, or the answer is no (`db status`: migrations are pending) |',
  '| 2 | used or configured wrongly |',
  '| 3 | the database is away: try again later |',
  '| 130 | cancelled when asked |',
  '',
  ...groups.flatMap((group) => [
    `## ${group.name()}`,
    '',
    sentence(group.description()),
    '',
    ...group.commands.flatMap(describe),
  ]),
  '## The service',
  '',
  'As it is configured.',
  '',
  ...others.flatMap(describe),
].join('\n')

const path = join(projectRoot, 'docs/commands.md')
if (!process.argv.includes('--check')) writeFileSync(path, page)
else if (readFileSync(path, 'utf8') !== page) {
  console.error('docs/commands.md is out of step with src/commands: run "npm run docs:commands"')
  process.exitCode = 1
}
