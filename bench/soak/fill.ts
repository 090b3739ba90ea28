// Before a soak: fills what the server remembers up to a number, so that its filling is not taken for growth.
import { Agent } from 'node:http'
import { newEmail, send, type Outgoing } from '../support/requests.ts'

/** More access tokens than the server remembers (src/core/security/access-tokens.ts). */
const tokens = 6000
const clients = 4

interface Pair {
  access_token: string
  refresh_token: string
}

/** Uses so many access tokens, each of its own. @throws Error when the server refuses one */
export async function fillMemory(address: string): Promise<void> {
  const ask = async (path: string, outgoing: Outgoing) => {
    const answer = await send(`${address}/api/v1${path}`, outgoing)
    if (answer.status >= 400) throw new Error(`${path} answered ${answer.status}: ${answer.body}`)
    return (JSON.parse(answer.body) as { data: Pair }).data
  }
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const person = { email: newEmail(), password: 'correct horse battery', first_name: 'Ada', last_name: 'Lovelace' }
    let { refresh_token } = await ask('/auth/register', { agent, body: person })
    for (let used = 0; used < tokens / clients; used++) {
      const pair = await ask('/auth/refresh', { agent, body: { refresh_token } })
      await ask('/users/me', { method: 'GET', agent, token: pair.access_token })
      refresh_token = pair.refresh_token
    }
    agent.destroy()
  }
  await Promise.all(Array.from({ length: clients }, client))
}
