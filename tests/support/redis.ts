import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './ports.ts'

const folders = (process.env['PATH'] ?? '').split(delimiter)

/** Whether there is a Redis to start. In CI a missing one is a fault, not a reason to skip. */
export const hasRedis = folders.some((folder) => existsSync(join(folder, 'redis-server'))) || Boolean(process.env['CI'])

/** A real Redis, on a port of its own, that keeps nothing. */
export class Redis {
  #server: ChildProcess | undefined
  #port: number | undefined

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`
  }

  /** Starts it, or starts it again on the same port. */
  async start(): Promise<void> {
    this.#port ??= await freePort()
    const options = { bind: '127.0.0.1', port: this.#port, save: '', appendonly: 'no' }
    const parameters = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
    this.#server = spawn('redis-server', parameters, { stdio: 'ignore' })
    for (let attempt = 0; attempt < 200; attempt++) {
      if (await this.#answers()) return
      await sleep(25)
    }
    throw new Error('redis-server does not start')
  }

  kill(signal: NodeJS.Signals): void {
    this.#server?.kill(signal)
  }

  async stop(): Promise<void> {
    if (!this.#server) return
    const ended = once(this.#server, 'exit')
    this.kill('SIGKILL')
    await ended
    this.#server = undefined
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.#port!, '127.0.0.1')
      socket.once('connect', () => socket.end() && resolve(true))
      socket.once('error', () => resolve(false))
    })
  }
}
