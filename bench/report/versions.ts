// The versions that were measured.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../src/core/config.ts'

const ofPackages = (folder: string) =>
  JSON.parse(readFileSync(join(projectRoot, folder, 'package.json'), 'utf8')) as {
    version: string
    dependencies: Record<string, string>
  }

export function versions(): Record<string, string> {
  const own = ofPackages('.').dependencies
  const theirs = ofPackages('bench/peers').dependencies
  return {
    'Node.js': process.versions.node,
    PostgreSQL: ofPackages('tools/postgresql-runtime').version,
    SQLite: process.versions['sqlite'] ?? 'unknown',
    Fastify: own['fastify']!,
    Kysely: own['kysely']!,
    pg: own['pg']!,
    Express: theirs['express']!,
    Prisma: theirs['@prisma/client']!,
    NestJS: theirs['@nestjs/core']!,
    TypeORM: theirs['typeorm']!,
    'Drizzle ORM': theirs['drizzle-orm']!,
    Hono: theirs['hono']!,
    'Kysely of hono-kysely': theirs['kysely']!,
    'better-sqlite3': theirs['better-sqlite3']!,
  }
}

/** The commit, and whether there are changes to what is measured; what is written into `docs/` does not count. */
export function measuredCommit(): string {
  const git = (...parameters: string[]) => execFileSync('git', parameters, { encoding: 'utf8' }).trim()
  const isChanged = git('status', '--porcelain', 'src', 'bench', 'migrations', 'package.json') !== ''
  return git('rev-parse', '--short', 'HEAD') + (isChanged ? ' and changes' : '')
}
