import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseKind } from '../../tests/support/databases.ts'

/**
 * A server to compare with. Started with `DATABASE_URL` (migrated by the template), `JWT_SECRET_KEY`, `PORT` and
 * `NODE_ENV`, it writes its address to standard output; SIGTERM ends it.
 */
export interface Peer {
  name: string
  databases: DatabaseKind[]
  command: [program: string, ...parameters: string[]]
  cwd: string
}

const peer = (name: string, main: string): Peer => ({
  name,
  databases: ['postgresql', 'sqlite'],
  command: [process.execPath, main],
  cwd: import.meta.dirname,
})

export const peers: Peer[] = [
  peer('Express 5 + Prisma', 'express-prisma/server.ts'),
  peer('NestJS + TypeORM', 'nestjs-typeorm/compiled/nestjs-typeorm/main.js'),
  peer('Fastify + Drizzle', 'fastify-drizzle/server.ts'),
  peer('Hono + Kysely', 'hono-kysely/server.ts'),
]

/** Installs what the peers need, unless it is there. */
export function installPeers(): void {
  if (existsSync(join(import.meta.dirname, 'node_modules'))) return
  execFileSync('npm', ['ci', '--include=dev', '--prefix', import.meta.dirname], { stdio: 'inherit' })
}
