import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Why no small disk can be had here. */
export const noTmpfs = () =>
  process.platform === 'linux' && process.getuid?.() === 0 ? undefined : 'only root on Linux can mount a tmpfs'

/** A disk of so many MiB: its folder. Call it before what uses it: what is made last is removed first. */
export function mountTmpfs(megabytes: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'tmpfs-'))
  onTestFinished(() => rmdirSync(folder))
  // PostgreSQL, which is not root, has its data in a folder of its own there.
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', folder])
  onTestFinished(() => void execFileSync('umount', ['--lazy', folder]))
  return folder
}

/** Fills a disk to the last page with a file. What it gives removes that. */
export function fill(folder: string): () => void {
  const path = join(folder, 'ballast')
  const file = openSync(path, 'w')
  try {
    for (const page = Buffer.alloc(4096); ;) writeSync(file, page)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  } finally {
    closeSync(file)
  }
  return () => rmSync(path)
}
