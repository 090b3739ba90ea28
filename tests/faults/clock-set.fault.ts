import { randomUUID } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import { freshDatabase } from '../support/databases.ts'
import { send, type Answer } from './support/clients.ts'
import { Clock, noFaketime } from './support/faketime.ts'
import { fault } from './support/fault.ts'
import { lostAndDoubled } from './support/lookup.ts'
import { Server } from './support/server.ts'

/** Seconds from the right time, one after the other. */
const times = [120, 0, -120, 0, -3600, 0]
const password = 'correct horse battery'

interface Tokens {
  access_token: string
  refresh_token: string
}

fault(
  'the clock set forward and back 120 s, and back an hour, while serving',
  {
    promise:
      'No 5xx; a token from the future is 401, and a refresh heals it; nobody is locked out for longer than before',
    limit: 240,
    cannot: noFaketime,
  },
  async ({ kind, project }) => {
    const clock = new Clock()
    const url = await freshDatabase(kind)
    const server = await Server.start(project, url, {
      ...clock.environment,
      RATE_LIMIT_ENABLED: 'true',
      RATE_LIMIT_PER_MINUTE: '1000000',
      // Refusals for too much at once are another fault's.
      OVERLOAD_DELAY_MS: '0',
    })
    const wrong: Answer[] = []
    const acknowledged: string[] = []
    async function ask(path: string, options: Parameters<typeof send>[1]): Promise<Answer> {
      const answer = await send(server.address + path, options)
      if (answer.status >= 500) wrong.push(answer)
      return answer
    }
    const tokensIn = ({ body }: Answer) => (JSON.parse(body) as { data: Tokens }).data
    const logIn = (email: string, word: string) => ask('/api/v1/auth/login', { body: { email, password: word } })
    async function signUp(): Promise<Tokens & { email: string }> {
      const email = `${randomUUID()}@example.com`
      const body = { email, password, first_name: 'Ada', last_name: 'Lovelace' }
      const answer = await ask('/api/v1/auth/register', { body })
      expect(answer.status).toBe(201)
      return { email, ...tokensIn(answer) }
    }
    /** Five times at once, as tabs do: there is one successor. */
    async function refresh({ refresh_token }: Tokens): Promise<Tokens> {
      const again = () => ask('/api/v1/auth/refresh', { body: { refresh_token } })
      const answers = await Promise.all(Array.from({ length: 5 }, again))
      for (const { status } of answers) expect(status).toBe(200)
      const successors = answers.map(tokensIn)
      expect(new Set(successors.map((successor) => successor.refresh_token)).size).toBe(1)
      refreshes++
      return successors[0]!
    }

    /** Writes all the time on one kept-alive connection, and refreshes when told that the token is not valid. */
    const stopped = new AbortController()
    let [healed, refreshes] = [0, 0]
    async function write() {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      onTestFinished(() => {
        stopped.abort()
        agent.destroy()
      })
      let tokens: Tokens = await signUp()
      while (!stopped.signal.aborted) {
        const name = randomUUID()
        const answer = await ask('/api/v1/items', { body: { name }, token: tokens.access_token, agent })
        if (answer.status === 201) acknowledged.push(name)
        else if (answer.status !== 401) wrong.push(answer)
        if (answer.status === 401) healed++
        if (answer.status === 401 || acknowledged.length % 50 === 0) tokens = await refresh(tokens)
        await sleep(5)
      }
    }
    const writers = Promise.all(Array.from({ length: 4 }, write))

    let longest = 0
    for (const time of times) {
      const [unused, guessed] = [await signUp(), await signUp()]
      let attempt
      do attempt = await logIn(guessed.email, 'a wrong password')
      while (attempt.status === 401)
      clock.set(time)
      const enough = acknowledged.length + 100
      while (acknowledged.length < enough) await sleep(10)
      await server.untilReady()
      // What was signed by the old clock may be from the future now.
      let answer = await ask('/api/v1/users/me', { token: unused.access_token })
      expect([200, 401]).toContain(answer.status)
      const successor = await refresh(unused)
      answer = await ask('/api/v1/users/me', { token: successor.access_token })
      expect(answer.status).toBe(200)

      const begin = performance.now()
      let login = await logIn(guessed.email, password)
      // Put back by less than the longest wait, it is that much longer at most: nobody need sit it out here.
      if (time !== -120 && time !== 0)
        for (; login.status === 429; login = await logIn(guessed.email, password)) {
          expect(Number(login.headers['retry-after'])).toBeLessThanOrEqual(15)
          await sleep(Number(login.headers['retry-after']) * 1000)
          longest = Math.max(longest, performance.now() - begin)
        }
      expect([200, 429]).toContain(login.status)
    }
    stopped.abort()
    await writers
    expect(await server.program.stop()).toBe(0)

    expect(wrong).toEqual([])
    const { lost, doubled } = await lostAndDoubled(url, acknowledged)
    expect({ lost, doubled }).toEqual({ lost: [], doubled: 0 })
    return {
      done: `set to ${times.map((time) => `${time} s`).join(', ')} from the right time while 4 clients wrote and refreshed`,
      seen: `${acknowledged.length} writes acknowledged, none lost; no 5xx; ${refreshes} refreshes by five at once, one successor each; ${healed} writes got 401 and went on after a refresh; a throttled sign-in waited ${(longest / 1000).toFixed(0)} s at most`,
    }
  },
)
