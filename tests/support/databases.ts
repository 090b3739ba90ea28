import { randomUUID } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { describe, inject } from 'vitest'

export type DatabaseKind = 'sqlite' | 'postgresql'
const kinds: DatabaseKind[] = ['sqlite', 'postgresql']

/** Whether there is a PgBouncer in front of PostgreSQL: `PGBOUNCER=1 npm run test:integration`. */
export const behindPgbouncer = Boolean(process.env['PGBOUNCER'])

/** Describes the same behaviour on SQLite and on a real PostgreSQL. */
export function onEachDatabase(body: (kind: DatabaseKind) => void): void {
  describe.for(kinds)('on %s', body)
}

/** A database of its own for a test file: its URL. Migrated, unless asked for empty. */
export async function freshDatabase(kind: DatabaseKind, empty = false): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  if (kind === 'sqlite') {
    const file = join(inject('sqlite'), `${name}.db`)
    if (!empty) copyFileSync(join(inject('sqlite'), 'template.db'), file)
    return `sqlite:///${file}`
  }
  const administration = new pg.Client(inject('postgresql'))
  await administration.connect()
  await administration.query(`create database ${name} template ${empty ? 'template0' : 'template_app'}`)
  await administration.end()
  return inject('postgresql').replace(/postgres$/, name)
}
