import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { register, send, type Answer } from './support/clients.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

const [clients, wanted, kills] = [16, 400, 5]

fault(
  'kill -9 of the server, and answers thrown away, under requests with an Idempotency-Key',
  {
    promise: 'Sent again until it is answered, each request makes one item, and all its answers are the same',
    quick: true,
  },
  async ({ kind, project }) => {
    const url = await freshDatabase(kind)
    const server = await Server.start(project, url)
    const token = await register(server.address)
    const made: string[] = []
    const odd: Answer[] = []
    const seen = { sent: 0, lost: 0, replays: 0, different: 0 }

    /** Sends a request until it is answered, and half of the time once more. Gives its answers. */
    async function persist(name: string): Promise<string[]> {
      const key = randomUUID()
      const answers: string[] = []
      for (const enough = Math.random() < 0.5 ? 2 : 1; answers.length < enough;) {
        seen.sent++
        // Half of the requests are given up before they are answered.
        const patience = Math.random() < 0.5 ? 1 + Math.floor(Math.random() * 20) : 30_000
        const body = { body: { name }, token, patience, headers: { 'idempotency-key': key } }
        const answer = await send(`${server.address}/api/v1/items`, body).catch(() => undefined)
        if (!answer) seen.lost++
        else if (answer.status === 201) answers.push(`${answer.headers.location} ${answer.body}`)
        // Still being done, or no database: it says so, and when to ask again.
        else if (![409, 503].includes(answer.status) || !answer.headers['retry-after']) odd.push(answer)
        if (answer?.headers['idempotency-replayed']) seen.replays++
        if (answer?.status !== 201) await sleep(20)
      }
      return answers
    }
    async function client() {
      while (made.length < wanted) {
        const name = randomUUID()
        const [first, ...others] = await persist(name)
        made.push(name)
        seen.different += others.filter((other) => other !== first).length
      }
    }
    const running = Promise.all(Array.from({ length: clients }, client))
    for (let kill = 1; kill <= kills; kill++) {
      while (made.length < (wanted / (kills + 1)) * kill) await sleep(5)
      await server.kill()
      await server.start()
    }
    await running
    await server.program.stop()

    const { lost, doubled, found } = await lostAndDoubled(url, made)
    expect({ lost, doubled, found, different: seen.different, odd }).toEqual({
      lost: [],
      doubled: 0,
      found: made.length,
      different: 0,
      odd: [],
    })
    return {
      done: `killed ${kills} times under ${clients} clients; ${seen.lost} of ${seen.sent} requests got no answer`,
      seen: `${made.length} items asked for, ${found} made; ${seen.replays} answers given again`,
    }
  },
)
