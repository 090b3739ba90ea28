// The versions that were measured.
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
