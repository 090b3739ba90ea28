import { existsSync } from 'node:fs'
import { backup as copy, DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { BackupError, writeWhole } from './backup.ts'
import { knownMigrations, migrationTable } from './migrations.ts'

// By SQLite's own online backup: a copy is the database at one moment, whoever writes meanwhile.

/** Pages copied at once; between two steps others get their turn. */
const rate = 1000
/** Milliseconds that a restore waits for whoever is writing just then. */
const patience = 10_000

/** Copies the database at `path` into a new file. @throws BackupError */
export async function backup(path: string, file: string): Promise<void> {
  if (!existsSync(path)) throw new BackupError(`There is no database at ${path}`)
  const source = new DatabaseSync(path, { readOnly: true })
  try {
    // Keeps to one moment. Without it each write by a server would make the copy begin anew, and perhaps never end.
    source.exec('begin; select count(*) from sqlite_master')
    await writeWhole(file, async (draft) => {
      await copy(source, draft, { rate })
      // One file by itself: without this it would want a log beside it.
      const made = new DatabaseSync(draft)
      made.exec('pragma journal_mode = delete')
      made.close()
    })
  } finally {
    source.close()
  }
}

/**
 * Copies a backup over the database at `path`, as one transaction: servers that have it open go on, and see the
 * old content or the new.
 * @throws BackupError when the file is no backup, or a damaged one
 */
export async function restore(path: string, file: string): Promise<void> {
  if (path === ':memory:') throw new BackupError('A database in memory cannot be restored')
  if (!existsSync(file)) throw new BackupError(`There is no file ${file}`)
  const source = new DatabaseSync(file, { readOnly: true })
  try {
    check(source, file)
    await untilFree(() => copy(source, path, { rate }))
  } finally {
    source.close()
  }
}

/** Tries again while another process writes. SQLite's error is then none: the copy has not begun. */
async function untilFree(start: () => Promise<unknown>): Promise<void> {
  for (const deadline = performance.now() + patience; ;) {
    try {
      await start()
      return
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== 0) throw error
      if (performance.now() > deadline)
        throw new BackupError('The database is being written to by somebody else, all the time', { cause: error })
      await sleep(20)
    }
  }
}

function check(source: DatabaseSync, file: string): void {
  try {
    const [found] = source.prepare('pragma quick_check').all()
    if (found?.['quick_check'] !== 'ok') throw new BackupError(`${file} is damaged: ${String(found?.['quick_check'])}`)
    const names = source.prepare(`select name from ${migrationTable}`)
    // A view of this name could be without an end, and other programs have such a table too.
    const isTable = source.prepare(`select 1 from sqlite_master where type = 'table' and name = ?`).get(migrationTable)
    if (!isTable || !names.all().some(({ name }) => knownMigrations('sqlite').includes(String(name))))
      throw new BackupError(`${file} is no backup of this service`)
  } catch (error) {
    if (error instanceof BackupError) throw error
    throw new BackupError(`${file} is no backup of this service: ${(error as Error).message}`, { cause: error })
  }
}
