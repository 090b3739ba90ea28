import { existsSync } from 'node:fs'
import { backup as copy, DatabaseSync } from 'node:sqlite'
import { BackupError, writeWhole } from './backup.ts'
import { migrationTable } from './migrations.ts'

// By SQLite's own online backup: a copy is the database at one moment, whoever writes meanwhile.

/** Pages copied at once; between two steps others get their turn. */
const rate = 1000

/** Copies the database at `path` into a new file. @throws BackupError */
export async function backup(path: string, file: string): Promise<void> {
  if (!existsSync(path)) throw new BackupError(`There is no database at ${path}`)
  const source = new DatabaseSync(path, { readOnly: true })
  try {
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
    await copy(source, path, { rate })
  } finally {
    source.close()
  }
}

function check(source: DatabaseSync, file: string): void {
  try {
    const [found] = source.prepare('pragma quick_check').all()
    if (found?.['quick_check'] !== 'ok') throw new BackupError(`${file} is damaged: ${String(found?.['quick_check'])}`)
    source.prepare(`select name from ${migrationTable}`).all()
  } catch (error) {
    if (error instanceof BackupError) throw error
    throw new BackupError(`${file} is no backup of this service: ${(error as Error).message}`, { cause: error })
  }
}
