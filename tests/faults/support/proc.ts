import { readFileSync } from 'node:fs'

/** Why what a process holds cannot be looked up here. */
export const noProc = () => (process.platform === 'linux' ? undefined : 'there is no /proc here')

/** MiB of memory that a process has. */
export function memoryOf(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Math.round(Number(kilobytes) / 1024)
}
