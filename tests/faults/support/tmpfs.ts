import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
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
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
  onTestFinished(() => void execFileSync('umount', ['--lazy', folder]))
  return folder
}

/** Fills a disk to the last byte with a file. What it gives removes that. */
export function fill(folder: string): () => void {
  const file = join(folder, 'ballast')
  const { bavail, bsize } = statfsSync(folder)
  writeFileSync(file, Buffer.alloc(bavail * bsize))
  return () => rmSync(file)
}
