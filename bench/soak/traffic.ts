// What the clients of a soak do, and how often.
import { randomUUID } from 'node:crypto'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { pick, type Crowd } from './crowd.ts'
import { envelopeOf } from './tally.ts'

const path = '/api/v1/items'
/** The clients' own items, about: with fewer they rather make one, with more they rather delete one. */
const items = 300
const words = ['invoice', 'shed', 'release', 'menu', 'report', 'bridge', 'schedule', 'parser', 'brochure', 'café', 'é']
const filters = [
  'status=draft',
  'status=active&sort=name',
  'priority=3',
  'priority=5&sort=-priority',
  'status=archived&priority=1',
  'page=3&per_page=50',
  'include_total=false&per_page=100',
  'created_after=2026-01-01T00:00:00Z&sort=created_at',
]

interface Doing {
  what: string
  /** Of all that is done, relative to the others' shares. */
  share: number
  run(crowd: Crowd): Promise<unknown>
}

const get = 'GET' as const
/** Half of those who read are signed in. */
const reader = (crowd: Crowd) => (Math.random() < 0.5 ? { token: pick(crowd.accounts).access_token } : {})
const soon = () => AbortSignal.timeout(Math.ceil(Math.random() * 10))

async function readOne(crowd: Crowd): Promise<void> {
  const id = crowd.anyItem()
  const item = id === undefined ? undefined : crowd.items.get(id)
  if (id === undefined || !item) return
  const headers: Record<string, string> =
    item.etag !== undefined && Math.random() < 0.3 ? { 'if-none-match': item.etag } : {}
  const expected = () => [200, ...(headers['if-none-match'] ? [304] : []), ...ifGone(crowd, id)]
  const answer = await crowd.ask('read', `${path}/${id}`, { method: get, ...reader(crowd), headers, expected })
  if (answer?.status === 200 && crowd.items.has(id)) crowd.note(answer, item.owner)
}

/** Somebody may have deleted it meanwhile. */
const ifGone = (crowd: Crowd, id: string) => (crowd.items.has(id) ? [] : [404])

/** Half of them say which creation it is, and some of these send it again, as if the answer had been lost. */
async function create(crowd: Crowd): Promise<void> {
  const owner = pick(crowd.accounts)
  const body = { name: `Mend the ${pick(words)}`, description: 'Before the winter. '.repeat(5), priority: 3 }
  const hasKey = Math.random() < 0.5
  const headers: Record<string, string> = hasKey ? { 'idempotency-key': randomUUID() } : {}
  const ask = () => crowd.ask('create', path, { body, token: owner.access_token, headers, expected: [201] })
  const first = await ask()
  const again = hasKey && Math.random() < 0.2 ? await ask() : undefined
  if (first && again && envelopeOf(first).data?.public_id !== envelopeOf(again).data?.public_id)
    crowd.countFault('create: made twice under one key')
  // Only now: both show the same item, and nobody is to delete it in between.
  crowd.note(again ?? first, owner)
}

/** Sends the `ETag` that the item came with the last time, if it had one. */
async function change(crowd: Crowd): Promise<void> {
  const id = crowd.anyItem()
  const item = id === undefined ? undefined : crowd.items.get(id)
  if (id === undefined || !item) return
  const headers: Record<string, string> = item.etag === undefined ? {} : { 'if-match': item.etag }
  const answer = await crowd.ask('change', `${path}/${id}`, {
    method: 'PATCH',
    body: { priority: 1 + Math.floor(Math.random() * 5), name: `Paint the ${pick(words)}` },
    token: item.owner.access_token,
    headers,
    expected: () => [200, ...(headers['if-match'] ? [412] : []), ...ifGone(crowd, id)],
  })
  if (!crowd.items.has(id)) return
  if (answer?.status === 200) crowd.note(answer, item.owner)
  // Another change came first, or this one is in doubt: what it looks like now is not known.
  else crowd.items.set(id, { owner: item.owner })
}

async function remove(crowd: Crowd): Promise<void> {
  const id = crowd.anyItem()
  const item = id === undefined ? undefined : crowd.items.get(id)
  if (id === undefined || !item) return
  crowd.items.delete(id)
  const { access_token: token } = item.owner
  await crowd.ask('delete', `${path}/${id}`, { method: 'DELETE', token, expected: [200] })
}

/** Signs in, and signs the session before out. */
async function signIn(crowd: Crowd): Promise<void> {
  const account = pick(crowd.accounts)
  if (account.isBusy) return
  account.isBusy = true
  const { email, password, refresh_token } = account
  const body = { email, password }
  const answer = await crowd.ask('sign in', '/api/v1/auth/login', { body, expected: [200], isSlow: true })
  if (answer) {
    Object.assign(account, envelopeOf(answer).data)
    // Requests with the token of that session are still under way.
    await sleep(5000)
    await crowd.ask('sign out', '/api/v1/auth/logout', { body: { refresh_token }, expected: [200] })
  }
  account.isBusy = false
}

async function refresh(crowd: Crowd): Promise<void> {
  const account = pick(crowd.accounts)
  if (account.isBusy) return
  account.isBusy = true
  const body = { refresh_token: account.refresh_token }
  const answer = await crowd.ask('refresh', '/api/v1/auth/refresh', { body, expected: [200] })
  if (answer) Object.assign(account, envelopeOf(answer).data)
  account.isBusy = false
}

const wrongPassword = (crowd: Crowd) =>
  crowd.ask('wrong password', '/api/v1/auth/login', {
    body: { email: pick(crowd.accounts).email, password: 'not the password' },
    expected: [401],
    isSlow: true,
  })

/** Asks for something, and does not wait for it. */
const abort = (crowd: Crowd) =>
  crowd.ask('break off', path + pick(['?per_page=100', '/export', '/search?q=shed', '?sort=name']), {
    method: get,
    token: pick(crowd.accounts).access_token,
    signal: soon(),
    expected: [200],
    isSlow: true,
  })

/** Sends half a body, and goes away. */
async function abortSending(crowd: Crowd): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    'content-length': 1000,
    authorization: `Bearer ${pick(crowd.accounts).access_token}`,
  }
  const outgoing = request(crowd.address + path, { method: 'POST', agent: false, headers })
  outgoing.on('error', () => {})
  outgoing.write('{"name": "')
  await sleep(Math.random() * 50)
  outgoing.destroy()
  crowd.countAborted()
}

function bad(crowd: Crowd): Promise<unknown> {
  const token = pick(crowd.accounts).access_token
  return pick([
    () => crowd.ask('bad body', path, { body: { name: 7, colour: 'red' }, token, expected: [400] }),
    () => crowd.ask('bad query', `${path}?page=0`, { method: get, expected: [400] }),
    () => crowd.ask('no token', path, { body: { name: 'Mine' }, expected: [401] }),
    () => crowd.ask('bad token', path, { method: get, token: `${token}x`, expected: [401] }),
    () => crowd.ask('no such item', `${path}/${randomUUID()}`, { method: get, expected: [404] }),
    () => crowd.ask('no such path', `/api/v1/${randomUUID()}`, { method: get, expected: [404] }),
  ])()
}

const doings: Doing[] = [
  { what: 'read', share: 36, run: readOne },
  {
    what: 'list',
    share: 12,
    run: (crowd) => crowd.ask('list', path, { method: get, ...reader(crowd), expected: [200] }),
  },
  {
    what: 'filter',
    share: 10,
    run: (crowd) => crowd.ask('filter', `${path}?${pick(filters)}`, { method: get, ...reader(crowd), expected: [200] }),
  },
  {
    what: 'search',
    share: 8,
    run: (crowd) =>
      crowd.ask('search', `${path}/search?q=${encodeURIComponent(pick(words))}`, { method: get, expected: [200] }),
  },
  {
    what: 'create or delete',
    share: 16,
    // The further from the number wanted, the more likely back to it.
    run: (crowd) => (Math.random() * 2 * items > crowd.items.size ? create(crowd) : remove(crowd)),
  },
  { what: 'change', share: 8, run: change },
  { what: 'bad request', share: 5, run: bad },
  { what: 'break off', share: 2, run: abort },
  { what: 'break off sending', share: 1, run: abortSending },
  { what: 'refresh', share: 0.6, run: refresh },
  { what: 'sign in', share: 0.4, run: signIn },
  { what: 'wrong password', share: 0.1, run: wrongPassword },
  {
    what: 'export',
    share: 0.3,
    run: (crowd) =>
      crowd.ask('export', `${path}/export`, {
        method: get,
        token: pick(crowd.accounts).access_token,
        expected: [200],
        isSlow: true,
      }),
  },
  { what: 'reopen connections', share: 0.2, run: async (crowd) => crowd.closeIdle() },
]

const all = doings.reduce((sum, { share }) => sum + share, 0)

/** Does one thing, each as often as its share says. */
export function doSomething(crowd: Crowd): Promise<unknown> {
  let left = Math.random() * all
  const doing = doings.find(({ share }) => (left -= share) < 0) ?? doings[0]!
  return doing.run(crowd)
}

/** Makes the items that the clients begin with. */
export async function makeItems(crowd: Crowd): Promise<void> {
  while (crowd.items.size < items) await create(crowd)
}
