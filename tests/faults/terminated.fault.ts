import { randomUUID } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, send } from './support/clients.ts'
import { fault, isQuick } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

const clients = 16

/** Reads and writes on one kept-alive connection until the server closes it politely, and counts what came. */
async function askUntilClosed(address: string, token: string, seen: Seen): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const items = `${address}/api/v1/items`
  for (let isOpen = true; isOpen;) {
    const name = randomUUID()
    const request = Math.random() < 0.5 ? send(items, { body: { name }, token, agent }) : send(items, { token, agent })
    const answer = await request.catch(({ code }: NodeJS.ErrnoException) => code ?? 'failed')
    if (typeof answer === 'string') {
      seen.failures.push(answer)
      break
    }
    seen.answers++
    if (seen.isStopping) seen.late++
    if (answer.status === 201) seen.acknowledged.push(name)
    else if (answer.status !== 200) seen.failures.push(`${answer.status} ${answer.body}`)
    isOpen = answer.headers.connection !== 'close'
  }
  agent.destroy()
}

interface Seen {
  answers: number
  /** Answers after SIGTERM. */
  late: number
  failures: string[]
  acknowledged: string[]
  isStopping: boolean
}

fault(
  'SIGTERM under load on kept-alive connections',
  { promise: 'No request fails, what was acknowledged is there, and the server ends with 0', quick: true, limit: 300 },
  async ({ kind, project }) => {
    const url = await freshDatabase(kind)
    const seen: Seen = { answers: 0, late: 0, failures: [], acknowledged: [], isStopping: false }
    const codes = []
    const [alone, together] = isQuick ? [2, 1] : [20, 5]
    for (let round = 0; round < alone + together; round++) {
      // Refusals for too much at once are another fault's.
      const more = { OVERLOAD_DELAY_MS: '0', WEB_CONCURRENCY: round < alone ? '1' : '2' }
      const server = await Server.start(project, url, more)
      const token = await register(server.address)
      seen.isStopping = false
      const enough = seen.answers + 100
      const running = Array.from({ length: clients }, () => askUntilClosed(server.address, token, seen))
      while (seen.answers < enough) await sleep(5)
      await sleep(Math.random() * 50)
      seen.isStopping = true
      codes.push(await server.program.stop())
      await Promise.all(running)
    }

    expect(seen.failures).toEqual([])
    expect(new Set(codes)).toEqual(new Set([0]))
    const { lost, doubled } = await lostAndDoubled(url, seen.acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    return {
      done: `ended ${alone} times, and ${together} times with two workers, while ${clients} clients read and wrote`,
      seen: `${seen.answers} requests answered, ${seen.late} of them after the signal, none failed; ${seen.acknowledged.length} writes acknowledged, none lost; exit code 0 each time`,
    }
  },
)
