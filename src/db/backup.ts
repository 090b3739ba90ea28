import { closeSync, fsyncSync, linkSync, openSync, rmSync } from 'node:fs'

/** A backup cannot be written, or cannot be restored. The message says why. */
export class BackupError extends Error {
  override name = 'BackupError'
}

/**
 * Makes a file appear whole or not at all, for its owner alone, and never in the place of another.
 * @param write fills the file at the path it is given
 * @throws BackupError when there is a file of this name, or none can be made
 */
export async function writeWhole(file: string, write: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${file}.${process.pid}.part`
  try {
    closeSync(openSync(draft, 'wx', 0o600))
    await write(draft)
    const written = openSync(draft, 'r+')
    fsyncSync(written)
    closeSync(written)
    linkSync(draft, file)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') throw new BackupError(`There is a ${file} already: name another file`, { cause: error })
    if (error instanceof BackupError) throw error
    throw new BackupError(`${file} cannot be written: ${message}`, { cause: error })
  } finally {
    rmSync(draft, { force: true })
  }
}
