import { randomUUID } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync } from 'node:fs'

/** What ends a long command. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A backup cannot be written, or cannot be restored. The message says why. */
export class BackupError extends Error {
  override name = 'BackupError'
}

/**
 * Makes a file appear whole or not at all, for its owner alone, and never in the place of another.
 * @param write fills the file at the path it is given; `ended` tells that a signal has ended it
 * @throws BackupError when there is a file of this name, or none can be made
 */
export async function writeWhole(
  file: string,
  write: (draft: string, ended: AbortSignal) => Promise<void>,
): Promise<void> {
  const taken = (cause?: unknown) => new BackupError(`There is a ${file} already: name another file`, { cause })
  // Linking refuses it too, but only after all the work.
  if (existsSync(file)) throw taken()
  // Not by the process's number: in containers many processes are number 1.
  const draft = `${file}.${randomUUID()}.part`
  const ended = new AbortController()
  const clear = () => {
    for (const left of [draft, `${draft}-journal`]) rmSync(left, { force: true })
  }
  const giveUp = (signal: NodeJS.Signals) => {
    ended.abort()
    clear()
    // Nobody listens for it any more, so that it ends the process.
    process.kill(process.pid, signal)
  }
  for (const signal of signals) process.once(signal, giveUp)
  try {
    closeSync(openSync(draft, 'wx', 0o600))
    await write(draft, ended.signal)
    const written = openSync(draft, 'r+')
    fsyncSync(written)
    closeSync(written)
    publish(draft, file)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') throw taken(error)
    if (error instanceof BackupError) throw error
    throw new BackupError(`${file} cannot be written: ${message}`, { cause: error })
  } finally {
    for (const signal of signals) process.off(signal, giveUp)
    clear()
  }
}

/** A link is refused when the name is taken. Where the file system has no links, the look beforehand has to do. */
function publish(draft: string, file: string): void {
  try {
    linkSync(draft, file)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'].includes(code)) throw error
    renameSync(draft, file)
  }
}
