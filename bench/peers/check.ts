// Whether the peers answer as the template does: each is started on the template's own database, and asked the same.
import { deepStrictEqual } from 'node:assert/strict'
import { addItems, countRows } from '../../src/db/bulk-seed.ts'
import { newEmail, register, send } from '../support/requests.ts'
import { databaseKinds, onWorkbench, withDatabase, type Server } from '../support/workbench.ts'
import { installPeers, peers } from './index.ts'

const items = '/api/v1/items'
const unknown = '00000000-0000-4000-8000-000000000000'

/** Items of owners and of nobody, one of them removed. Gives the public ids of some live ones. */
const fill = ({ databaseUrl }: Server): Promise<string[]> =>
  withDatabase(databaseUrl, async (database) => {
    const { query, clock } = database
    const tally = await countRows(database, 'items')
    await addItems(database, { start: tally, wanted: tally.count + 45, advance: () => {} })
    const rows = await query().selectFrom('items').select(['id', 'public_id']).orderBy('id', 'desc').execute()
    await query().updateTable('items').set({ deleted_at: clock() }).where('id', '=', rows[3]!.id).execute()
    return [rows[0]!.public_id, rows[1]!.public_id]
  })

interface Question {
  path: string
  token?: string
  body?: unknown
}

function questions(publicIds: string[], token: string): Question[] {
  const full = { name: '  Ünïcode ☃ ', description: 'Of several\nlines', status: 'active', priority: 5 }
  const wrong = [{}, { name: ' ' }, { name: 'x', priority: 6 }, { name: 'x', status: 'gone' }, { name: 'x', other: 1 }]
  return [
    ...publicIds.map((id) => ({ path: `${items}/${id}` })),
    { path: `${items}/${unknown}` },
    { path: `${items}/not-a-uuid` },
    { path: items },
    ...['page=1&per_page=20', 'page=3&per_page=20', 'page=9', 'page=0', 'per_page=101'].map((query) => ({
      path: `${items}?${query}`,
    })),
    ...[full, { name: 'Only a name' }, ...wrong].map((body) => ({ path: items, token, body })),
    { path: items, body: full },
    { path: items, body: full, token: `${token.slice(0, -4)}AAAA` },
  ]
}

interface Item {
  [field: string]: unknown
  public_id: string
  name: string
}

interface Reply {
  success: boolean
  data?: Partial<Item> & { pagination?: { next_cursor?: string | null }; items?: Item[] }
}

async function ask(address: string, { path, token, body }: Question) {
  const method = body === undefined ? 'GET' : 'POST'
  const answer = await send(`${address}${path}`, { method, body, ...(token !== undefined && { token }) })
  const { success, data } = JSON.parse(answer.body) as Reply
  const type = answer.headers.find(([name]) => name === 'content-type')?.[1].split(';')[0]
  // Cursors are the template's alone.
  delete data?.pagination?.next_cursor
  return { status: answer.status, type, success, data }
}
type Answer = Awaited<ReturnType<typeof ask>>

/** Of two new items the ids and times differ. */
const comparable = ({ data, ...answer }: Answer) =>
  answer.status === 201
    ? { ...answer, data: { ...data, public_id: typeof data?.public_id, created_at: 'then', updated_at: 'then' } }
    : { ...answer, data }

/** The template finds a peer's new item, and reads it as the peer told it. */
async function checkStored(template: Server, { name, public_id, ...rest }: Partial<Item>) {
  const path = `${items}/search?per_page=100&q=${encodeURIComponent(name!.toUpperCase())}`
  const { data } = await ask(template.address, { path })
  const found = data?.items?.find((item) => item.public_id === public_id)
  deepStrictEqual(found, { name, public_id, ...rest })
}

installPeers()
await onWorkbench(async ({ start, startServer }) => {
  for (const kind of databaseKinds) {
    const template = await startServer(kind, { RATE_LIMIT_ENABLED: 'false' })
    const token = await register(template, newEmail(), 'correct horse battery')
    const asked = questions(await fill(template), token)
    for (const peer of peers) {
      const server = await start(peer.program, template.databaseUrl)
      try {
        for (const question of asked) {
          const ours = comparable(await ask(template.address, question))
          const answer = await ask(server.address, question)
          const theirs = comparable(answer)
          deepStrictEqual({ of: peer.name, kind, question, ...theirs }, { of: peer.name, kind, question, ...ours })
          if (answer.status === 201) await checkStored(template, answer.data!)
        }
      } finally {
        await server.stop()
      }
      console.log(`${peer.name} on ${kind}: ${asked.length} answers like the template's`)
    }
  }
})
