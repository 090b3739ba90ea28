import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Omission } from '../load/check.ts'
import type { Program } from '../support/workbench.ts'

/**
 * A server to compare with. Started with `DATABASE_URL` (migrated by the template), `JWT_SECRET_KEY`, `PORT` and
 * `NODE_ENV`, it serves until SIGTERM ends it.
 */
export interface Peer {
  id: string
  name: string
  program: Program
  leavesOut: Omission[]
}

const peer = (id: string, name: string, main: string, more: Omission[] = []): Peer => ({
  id,
  name,
  program: { command: [process.execPath, main], folder: import.meta.dirname },
  leavesOut: ['next_cursor', ...more],
})

export const peers: Peer[] = [
  peer('express-prisma', 'Express 5 + Prisma', 'express-prisma/server.ts'),
  peer('nestjs-typeorm', 'NestJS + TypeORM', 'nestjs-typeorm/compiled/nestjs-typeorm/main.js'),
  // Ajv coerces, as is Fastify's default.
  peer('fastify-drizzle', 'Fastify + Drizzle', 'fastify-drizzle/server.ts', ['types in bodies']),
  peer('hono-kysely', 'Hono + Kysely', 'hono-kysely/server.ts'),
]

/** What `npm ci` makes there last: installed and prepared. */
export const arePeersInstalled = () => existsSync(join(import.meta.dirname, 'nestjs-typeorm/compiled'))

/** Installs what the peers need, unless it is there. */
export function installPeers(): void {
  if (arePeersInstalled()) return
  execFileSync('npm', ['ci', '--include=dev', '--prefix', import.meta.dirname], { stdio: 'inherit' })
}
