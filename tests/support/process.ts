import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, inject } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'
import type * as migrator from '../../src/db/migrator.ts'

const copied = ['src', 'migrations', 'tools', 'package.json', 'tsconfig.json', '.env.example']

/** Compiled code, shared by the whole run: the second start of many is quicker. */
const compiled = () => join(inject('sqlite'), 'compiled')

/** Where what ran is collected, when coverage is asked for. */
const coverage = process.env['NODE_V8_COVERAGE']

/** Code from a compile cache is not counted, so it is one or the other. */
const compileCacheOrCoverage = (written: string) =>
  coverage ? { NODE_V8_COVERAGE: written } : { NODE_COMPILE_CACHE: compiled() }

/** What ran in a copy of the project counts for the project. A process that was killed may have left half a file. */
function countCoverage(folder: string, written: string): void {
  if (!coverage || !existsSync(written)) return
  for (const file of readdirSync(written)) {
    const text = readFileSync(join(written, file), 'utf8')
    if (!isJson(text)) continue
    writeFileSync(join(coverage, file), text.replaceAll(pathToFileURL(folder).href, pathToFileURL(projectRoot).href))
  }
  rmSync(written, { recursive: true })
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

export type Command = [program: string, ...parameters: string[]]

/** What `npm start` runs. */
export const serverCommand = (...nodeOptions: string[]): Command => [
  process.execPath,
  ...nodeOptions,
  '--import',
  './tools/require-node.js',
  'src/main.ts',
]

/** How Node.js starts the command line. */
const cli = ['--import', './tools/require-node.js', 'src/cli.ts']

/** util-linux has a `script` that says its name; others take other options. */
export const hasTerminal =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false

/** The real program, running as a process of its own. */
export class Program {
  /** What it has written so far, to both streams, and to each. */
  output = ''
  stdout = ''
  stderr = ''
  /** Its exit code, once it and all its workers have ended; null when a signal killed it. */
  readonly ended: Promise<number | null>
  readonly #child: ChildProcessWithoutNullStreams
  #over = false

  constructor(folder: string, [program, ...parameters]: Command, settings: Record<string, string>) {
    // A folder of its own: what another process is still writing would be read half.
    const written = join(coverage ?? '', randomUUID())
    const child = spawn(program, parameters, {
      cwd: folder,
      // Nothing of the developer's own environment, but for where programs are found.
      env: { PATH: process.env['PATH'], ...compileCacheOrCoverage(written), PORT: '0', ...settings },
      stdio: 'pipe',
    })
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => {
        this.output += text
        this[name] += text
      })
    // It may end before it has read everything.
    child.stdin.on('error', () => {})
    this.ended = once(child, 'close').then(([code]) => {
      this.#over = true
      countCoverage(folder, written)
      return code as number | null
    })
    this.#child = child
  }

  /** Waits until the output matches. @throws when the program ends before */
  async seen(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output)
      if (match) return match
      if (this.#over) throw new Error(`It ended without writing ${pattern}:\n${this.output}`)
      await sleep(10)
    }
  }

  /** Waits until it listens. Gives its address. */
  async address(): Promise<string> {
    const [address] = await this.seen(/http:\/\/127\.0\.0\.1:\d+/)
    return address
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** What it has logged so far, in production. @throws when a line is not whole */
  log(): Record<string, unknown>[] {
    const lines = this.stdout.split('\n').slice(0, -1)
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  /** What a person would type, or all that it reads from its standard input. */
  type(text: string): void {
    this.#child.stdin.write(text)
  }

  endInput(text: string | Buffer = ''): void {
    this.#child.stdin.end(text)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends it as a service manager does. Gives its exit code. */
  stop(): Promise<number | null> {
    this.kill('SIGTERM')
    return this.ended
  }
}

/** A copy of the project in a temporary folder, with nothing configured. */
export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'project-'))
  readonly #programs: Program[] = []

  constructor() {
    for (const name of copied) cpSync(join(projectRoot, name), join(this.folder, name), { recursive: true })
    symlinkSync(join(projectRoot, 'node_modules'), join(this.folder, 'node_modules'), 'junction')
  }

  path = (name: string): string => join(this.folder, name)

  /** Changes a file as a developer would. */
  edit(name: string, from: string, to: string): void {
    const text = readFileSync(this.path(name), 'utf8')
    if (!text.includes(from)) throw new Error(`${name} does not hold ${from}`)
    writeFileSync(this.path(name), text.replace(from, to))
  }

  /** The copy's own code for migrations, which looks for models and files in the copy. */
  migrator = () => import(this.path('src/db/migrator.ts')) as Promise<typeof migrator>

  /** Starts the server, as `npm start` does. */
  start(settings: Record<string, string> = {}, ...nodeOptions: string[]): Program {
    return this.run(serverCommand(...nodeOptions), settings)
  }

  /**
   * Runs a command to its end, as `npm run app -- …` does, without a terminal.
   * @param input what it can read from its standard input
   */
  async app(parameters: string[], settings: Record<string, string> = {}, input: string | Buffer = '') {
    const program = this.run([process.execPath, ...cli, ...parameters], settings)
    program.endInput(input)
    const code = await program.ended
    const { output, stdout, stderr } = program
    return { code, output, stdout, stderr }
  }

  /** Starts a command at a terminal; what is written to it comes as standard output, typed text included. */
  atTerminal(parameters: string[], settings: Record<string, string> = {}, redirection = ''): Program {
    const words = [process.execPath, ...cli, ...parameters].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
    const command = `stty cols 100 rows 30; exec ${words.join(' ')} ${redirection}`
    return this.run(['script', '--quiet', '--return', '--command', command, '/dev/null'], {
      TERM: 'xterm-256color',
      SHELL: '/bin/sh',
      ...settings,
    })
  }

  /** Starts any program in the folder of the project. */
  run(command: Command, settings: Record<string, string> = {}): Program {
    const program = new Program(this.folder, command, settings)
    this.#programs.push(program)
    return program
  }

  async remove(): Promise<void> {
    for (const program of this.#programs) program.kill('SIGKILL')
    await Promise.all(this.#programs.map(({ ended }) => ended))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A copy of the project for the tests of a block. */
export function useProject(): Project {
  const project = new Project()
  afterAll(() => project.remove())
  return project
}
