// Processes: which core they run on, the processor time they took, and their memory.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const allowed = process.platform === 'linux' && hasTaskset() ? allowedCores() : []
const canPin = allowed.length > 1

/** The core of the server under test, and those of everything else; undefined where processes cannot be pinned. */
export const serverCore = canPin ? String(allowed[0]) : undefined
export const otherCores = canPin ? allowed.slice(1).join(',') : undefined

function hasTaskset(): boolean {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The cores that this process may use: `0-3,8` in Linux's words. A container may have been given some of them. */
function allowedCores(): number[] {
  const [, list = ''] = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, at) => first + at)
  })
}

/** The command that runs another one on some cores. */
export const pinned = (command: string[], cores?: string): string[] =>
  cores === undefined ? command : ['taskset', '-c', cores, ...command]

/** Moves a process, with those it started and will start, to some cores. */
export function pin(pid: number, cores?: string): void {
  if (cores === undefined) return
  for (const each of family(pid)) execFileSync('taskset', ['-a', '-p', '-c', cores, String(each)], { stdio: 'ignore' })
}

/** A process and all that it started, as far as they run. */
function family(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return [pid, ...children.flatMap((child) => family(Number(child)))]
}

/** Microseconds of processor time, of all threads, that a process and those it started took until now. Linux counts in 10 ms. */
export function processorTime(pid: number): number {
  if (process.platform !== 'linux')
    return toMicroseconds(execFileSync('ps', ['-o', 'time=', '-p', String(pid)], { encoding: 'utf8' }))
  const ticks = family(pid).map((each) => {
    // The name, in brackets, may hold spaces: what follows it is counted.
    const fields = readFileSync(`/proc/${each}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    // Its own, and that of its children that have ended: PostgreSQL's workers come and go.
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
  })
  return ticks.reduce((sum, value) => sum + value, 0) * 10_000
}

/** `1:02.34`, as `ps` writes it, or with hours before. */
const toMicroseconds = (time: string) =>
  time
    .trim()
    .split(':')
    .reduce((sum, part) => sum * 60 + Number(part), 0) * 1_000_000

/** MiB of memory that a process holds; NaN when it is gone. */
export function residentMemory(pid: number): number {
  try {
    const kibibytes =
      process.platform === 'linux'
        ? /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
        : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })
    return Number(kibibytes) / 1024
  } catch {
    return Number.NaN
  }
}

/** Files, sockets and the like that a process has open; NaN when it is gone, or where there is no `/proc`. */
export function openDescriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return Number.NaN
  }
}
