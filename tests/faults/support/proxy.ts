import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

interface Link {
  client: Socket
  server: Socket
  /** Whether anything will ever be passed on again. */
  isDead: boolean
}

/** A network that can be made slow, cut and silent: what is sent to its port arrives at another one. */
export class Proxy {
  /** Milliseconds that everything takes, in each direction. */
  latency = 0
  readonly #server: Server
  readonly #links = new Set<Link>()
  /** Settled while the network passes on what it gets. */
  #passing = Promise.resolve()
  #resume = () => {}

  private constructor(target: number) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client, target))
  }

  /** Starts one in front of a port of the loopback. It is removed when the test is over. */
  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    onTestFinished(() => {
      proxy.#server.close()
      proxy.cut()
    })
    return proxy
  }

  /** The same address, through here. */
  through(url: string): string {
    const address = new URL(url)
    address.port = String((this.#server.address() as AddressInfo).port)
    return address.href
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#links.size
  }

  /** Breaks each connection; new ones are taken. */
  cut(): void {
    for (const { client, server } of this.#links) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }

  /** From now on connections are still taken, and nothing is passed on; not even that one has been closed. */
  blackhole(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#passing = promise
    this.#resume = resolve
  }

  /**
   * Passes things on again.
   * @param forget the connections of before stay silent for ever, as when a firewall has forgotten them; otherwise
   * what was held back arrives now
   */
  back(forget = false): void {
    if (forget) for (const link of this.#links) link.isDead = true
    this.#resume()
  }

  #join(client: Socket, target: number): void {
    const server = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    const link = { client, server, isDead: false }
    this.#links.add(link)
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      let latest = Promise.resolve()
      const pass = (action: () => void) => {
        latest = this.#pass(latest, link, () => !to.destroyed && action())
      }
      from.setNoDelay(true)
      from.on('data', (data) => pass(() => to.write(data)))
      from.on('end', () => pass(() => to.end()))
      from.on('error', () => pass(() => to.resetAndDestroy()))
      from.on('close', () => {
        if (client.destroyed && server.destroyed) this.#links.delete(link)
      })
    }
  }

  /** Passes on what has come, in the order of coming, when its time has come. */
  async #pass(before: Promise<void>, link: Link, action: () => void): Promise<void> {
    const due = performance.now() + this.latency
    await before
    const wait = due - performance.now()
    if (wait > 0) await sleep(wait)
    await this.#passing
    if (!link.isDead) action()
  }
}
