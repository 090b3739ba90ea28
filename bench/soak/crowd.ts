// The clients of a soak: accounts that are signed in, the items they own, and their connections.
import { randomUUID } from 'node:crypto'
import { Agent } from 'node:http'
import { newEmail, send, type Answer, type Outgoing } from '../support/requests.ts'
import { count, countAnswer, emptyTally, envelopeOf, headerOf, type Tally } from './tally.ts'

/** Of all requests, those on a connection of their own. */
const onFreshConnections = 0.1
/** Accounts that are signed in at the same time. */
const accounts = 5

export interface Account {
  email: string
  password: string
  access_token: string
  refresh_token: string
  /** Whether a refresh is under way: two at the same time would look like a theft. */
  isBusy: boolean
}

interface Item {
  owner: Account
  /** The last `ETag` that came with it, from a server that sends one. */
  etag?: string | undefined
}

interface Asked extends Outgoing {
  /** The statuses that it may have, but for an honest 503; asked for when the answer is there. */
  expected: number[] | (() => number[])
  /** Whether it takes long by its nature, so that its time is not counted. */
  isSlow?: boolean
}

export const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!

export class Crowd {
  readonly address: string
  readonly accounts: Account[] = []
  readonly items = new Map<string, Item>()
  readonly #kept = new Agent({ keepAlive: true })
  #tally = emptyTally()

  constructor(address: string) {
    this.address = address
  }

  /** Registers the accounts. @throws Error when the server does not let them */
  async gather(): Promise<void> {
    while (this.accounts.length < accounts) {
      const [email, password] = [newEmail(), randomUUID()]
      const body = { email, password, first_name: 'Ada', last_name: 'Lovelace' }
      const answer = await send(`${this.address}/api/v1/auth/register`, { body })
      if (answer.status !== 201) throw new Error(`register answered ${answer.status}: ${answer.body}`)
      this.accounts.push({ email, password, isBusy: false, ...envelopeOf(answer).data! })
    }
  }

  /** Sends a request, and counts what came of it. Gives the answer if it is one of those expected. */
  async ask(what: string, path: string, { expected, isSlow, ...outgoing }: Asked): Promise<Answer | undefined> {
    const tally = this.#tally
    const agent = Math.random() < onFreshConnections ? undefined : this.#kept
    try {
      const answer = await send(this.address + path, { ...outgoing, ...(agent && { agent }) })
      const allowed = typeof expected === 'function' ? expected() : expected
      countAnswer(tally, what, answer, allowed)
      if (!isSlow) tally.times.push(answer.milliseconds)
      return allowed.includes(answer.status) ? answer : undefined
    } catch (error) {
      if (outgoing.signal?.aborted) tally.aborted++
      else count(tally.faults, `${what}: no answer (${(error as Error).message})`)
      return undefined
    }
  }

  countFault(fault: string): void {
    count(this.#tally.faults, fault)
  }

  countAborted(): void {
    this.#tally.aborted++
  }

  countUnsent(): void {
    this.#tally.unsent++
  }

  /** Notes an item that an answer shows. */
  note(answer: Answer | undefined, owner: Account): void {
    const id = answer && envelopeOf(answer).data?.public_id
    if (id !== undefined) this.items.set(id, { owner, etag: headerOf(answer!, 'etag') })
  }

  /** One of the items that were made and not deleted. */
  anyItem = (): string | undefined => pick([...this.items.keys()])

  /** Ends the kept-alive connections that nobody is using. */
  closeIdle(): void {
    for (const sockets of Object.values(this.#kept.freeSockets)) for (const socket of sockets ?? []) socket.destroy()
  }

  close(): void {
    this.#kept.destroy()
  }

  /** Gives what happened since it was asked the last time. */
  takeTally(): Tally {
    const told = this.#tally
    this.#tally = emptyTally()
    return { ...told, items: this.items.size }
  }
}
