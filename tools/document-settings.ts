// Writes `.env.example` and docs/configuration.md from the one table of settings in core/settings.ts.
// With --check it writes nothing and fails when they are out of step.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { projectRoot } from '../src/core/config.ts'
import { sampleSecret } from '../src/core/setting-forms.ts'
import { settings } from '../src/core/settings.ts'

interface Setting {
  name: string
  description: string
  required: boolean
  fallback: string
}

const secrets = ['SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY']
/** Shown in `.env.example` instead of the default: what a developer most likely wants. */
const examples: Record<string, string> = { CORS_ORIGINS: 'http://localhost:3000,http://localhost:5173' }

function read(name: string, schema: z.ZodType): Setting {
  const fallback: unknown = schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined
  return {
    name,
    description: schema.description ?? '',
    required: !schema.safeParse(undefined).success,
    fallback: Array.isArray(fallback)
      ? fallback.join(',')
      : String((fallback as string | number | boolean | undefined) ?? ''),
  }
}

const all = Object.entries(settings).map(([name, schema]) => read(name, schema))

const envExample = [
  '# Every setting; those in comments show their default. Written by "npm run docs:settings" from src/core/settings.ts.',
  '# "npm start" copies this file to .env on the first start and puts random secrets in.',
  '',
  ...all.flatMap(({ name, description, fallback }) => {
    const line = `${name}=${secrets.includes(name) ? sampleSecret : (examples[name] ?? fallback)}`
    const isSet = secrets.includes(name) || name in examples
    return [`# ${description.replaceAll('`', '')}`, isSet ? line : `# ${line}`, '']
  }),
  '# For compose.yaml alone: the password of its PostgreSQL, in letters, digits, - and _.',
  `POSTGRES_PASSWORD=${sampleSecret}`,
  '',
].join('\n')

const configurationPage = [
  '# Configuration',
  '',
  'Settings are environment variables. A file `.env` in the project is read beneath them: the real environment wins, and an',
  'empty variable counts as not set. They are validated once, at start; a missing or bad one stops the start with its name and',
  'what is wrong with it, all faults at once, and never a value. This page and `.env.example` are written by',
  '`npm run docs:settings` from the one table in `src/core/settings.ts`.',
  '',
  '| variable | default | meaning |',
  '|---|---|---|',
  ...all.map(
    ({ name, description, required, fallback }) =>
      `| \`${name}\` | ${required ? '**required**' : fallback === '' ? '–' : `\`${fallback}\``} | ${description} |`,
  ),
  '',
].join('\n')

const files = { '.env.example': envExample, 'docs/configuration.md': configurationPage }
for (const [file, content] of Object.entries(files)) {
  const path = join(projectRoot, file)
  if (!process.argv.includes('--check')) writeFileSync(path, content)
  else if (readFileSync(path, 'utf8') !== content) {
    console.error(`${file} is out of step with src/core/settings.ts: run "npm run docs:settings"`)
    process.exitCode = 1
  }
}
