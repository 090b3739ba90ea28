import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../../src/db/database.ts'
import { upgrade } from '../../src/db/migrator.ts'
import { behindPgbouncer } from './databases.ts'
import { startPgbouncer } from './pgbouncer.ts'
import { startPostgresql } from './postgresql.ts'
import { settings } from './settings.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the administration database. */
    postgresql: string
    /** A folder with a migrated SQLite file, `template.db`, and room for copies. */
    sqlite: string
  }
}

/** Starts what the integration tests need, once: a PostgreSQL, and on each database a migrated template to copy. */
export default async function setup(project: TestProject) {
  const folder = mkdtempSync(join(tmpdir(), 'sqlite-'))
  const server = await startPostgresql()
  const pgbouncer = behindPgbouncer ? await startPgbouncer(server.url) : undefined
  const teardown = async () => {
    await pgbouncer?.stop()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const administration = new pg.Client(server.url)
    await administration.connect()
    await administration.query('create database template_app')
    await administration.end()
    for (const url of [`sqlite:///${join(folder, 'template.db')}`, server.url.replace(/postgres$/, 'template_app')]) {
      const database = openDatabase(settings({ DATABASE_URL: url }))
      await upgrade(database)
      await database.close()
    }
  } catch (error) {
    await teardown()
    throw error
  }
  project.provide('postgresql', pgbouncer?.url ?? server.url)
  project.provide('sqlite', folder)
  return teardown
}
