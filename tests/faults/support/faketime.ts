import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const folders = ['/usr/lib', '/usr/local/lib', '/usr/lib64'].flatMap((folder) =>
  existsSync(folder) ? [folder, ...readdirSync(folder).map((name) => join(folder, name))] : [],
)
const library = folders.map((folder) => join(folder, 'faketime/libfaketimeMT.so.1')).find(existsSync)

/** Why no clock can be set here. */
export const noFaketime = () => (library === undefined ? 'there is no libfaketime here' : undefined)

/** A clock of a process's own, as somebody would set it while it runs: durations go on as they are. */
export class Clock {
  readonly #folder = mkdtempSync(join(tmpdir(), 'clock-'))
  readonly #file = join(this.#folder, 'offset')
  /** What the process gets in its environment. */
  readonly environment: Record<string, string> = {
    LD_PRELOAD: library ?? '',
    FAKETIME_TIMESTAMP_FILE: this.#file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  }

  constructor() {
    this.set(0)
    onTestFinished(() => rmSync(this.#folder, { recursive: true }))
  }

  /** Sets it to so many seconds from the right time. */
  set(seconds: number): void {
    writeFileSync(this.#file, seconds < 0 ? String(seconds) : `+${seconds}`)
  }
}
