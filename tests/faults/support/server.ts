import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../support/ports.ts'
import { serverCommand, type Command, type Program, type Project } from '../../support/process.ts'
import { environment } from '../../support/settings.ts'

/** A server that keeps its port, and so can be started again at the same address. */
export class Server {
  readonly address: string
  readonly #project: Project
  readonly #settings: Record<string, string>
  #program: Program | undefined

  private constructor(project: Project, port: number, settings: Record<string, string>) {
    this.address = `http://127.0.0.1:${port}`
    this.#project = project
    // In production nothing migrates or seeds by itself, and the log is JSON.
    this.#settings = { ...environment, NODE_ENV: 'production', PORT: String(port), ...settings }
  }

  /** Starts the real server on a database that is there, and waits until it answers. */
  static async start(
    project: Project,
    databaseUrl: string,
    settings: Record<string, string> = {},
    as?: (command: Command) => Command,
  ): Promise<Server> {
    const server = new Server(project, await freePort(), { DATABASE_URL: databaseUrl, ...settings })
    await server.start(as)
    return server
  }

  /** @param as makes another command of it, as one that sets limits first */
  async start(as = (command: Command) => command): Promise<void> {
    this.#program = this.#project.run(as(serverCommand()), this.#settings)
    await this.untilLive()
  }

  get program(): Program {
    return this.#program!
  }

  /** Kills it with no chance to do anything, and waits until it is gone. */
  async kill(): Promise<void> {
    this.program.kill('SIGKILL')
    await this.program.ended
  }

  untilLive = () => this.#until('/health/live')
  /** Waits until the database answers it. Gives the milliseconds that took. */
  untilReady = () => this.#until('/health/ready')

  async #until(path: string): Promise<number> {
    const begin = performance.now()
    let isOver = false
    void this.program.ended.then(() => (isOver = true))
    for (;;) {
      const status = await fetch(this.address + path, { signal: AbortSignal.timeout(5000) }).then(
        (response) => response.status,
        () => 0,
      )
      if (status === 200) return performance.now() - begin
      if (isOver) throw new Error(`The server has ended:\n${this.program.output}`)
      await sleep(20)
    }
  }
}
