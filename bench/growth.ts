// Does a request take longer when the table grows? The template with 10 thousand, 1 million and 10 million items.
//
//   npm run bench:growth -- [--only sqlite,postgresql] [--sizes 10000,1000000,10000000] [--requests list,deep,search]
//                           [--seconds 3] [--rounds 5] [--json file]
//
// One table, made by `npx app db seed --items N` and then grown to the next size. On one connection, so that nothing
// waits for anything else, each request is sent again and again, in rounds: the first page with its total, the same
// without, the page that a cursor in the middle of the table leads to, and a search for a word that one item has.
// Told are medians over the rounds of the time until the answer (p50), and of the processor time that server and
// database took for it. The command that grows the table also analyses it.
import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { DatabaseKind } from '../tests/support/databases.ts'
import type { Outcome } from './load/clients.ts'
import { toText, type Requested } from './load/requests.ts'
import { startLoadTool, type LoadTool } from './load/tool.ts'
import { figures, machine, median, writeJson, type Growth } from './report/results.ts'
import { table } from './support/figures.ts'
import { newEmail, register, send } from './support/requests.ts'
import { onWorkbench, template, type Server, type Workbench } from './support/workbench.ts'
import { serverSettings } from './variants.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'sqlite,postgresql' },
    sizes: { type: 'string', default: '10000,1000000,10000000' },
    requests: { type: 'string', default: 'list,uncounted,deep,search' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
})
const sizes = options.sizes.split(',').map(Number)
const path = '/api/v1/items'
const rareWord = 'xylophone'

const titles: Record<string, string> = {
  list: 'first page, with total',
  uncounted: 'first page, no total',
  deep: 'deep page by cursor',
  search: `search for a rare word`,
}

/** What each request asks for, at a size. */
const paths: Record<string, (server: Server, size: number) => Promise<string>> = {
  list: async () => `${path}?per_page=20`,
  uncounted: async () => `${path}?per_page=20&include_total=false`,
  deep: async (server, size) => `${path}?per_page=20&include_total=false&cursor=${await cursorAt(server, size / 2)}`,
  search: async () => `${path}/search?q=${rareWord}`,
}

/** The cursor behind the page that begins about so many items deep. */
async function cursorAt({ address }: Server, depth: number): Promise<string> {
  const page = Math.ceil(depth / 20)
  const answer = await send(`${address}${path}?page=${page}&per_page=20&include_total=false`, { method: 'GET' })
  const { data } = JSON.parse(answer.body) as { data?: { pagination: { next_cursor?: string } } }
  if (data?.pagination.next_cursor === undefined) throw new Error(`There is no cursor: ${answer.body}`)
  return encodeURIComponent(data.pagination.next_cursor)
}

/** Grows the table to a size. Gives the seconds that it took. */
function grow(bench: Workbench, databaseUrl: string, size: number): number {
  const begin = performance.now()
  bench.app(databaseUrl, 'db', 'seed', '--items', String(size))
  return (performance.now() - begin) / 1000
}

async function addRareItem(server: Server): Promise<void> {
  const token = await register(server, newEmail(), randomUUID())
  const answer = await send(`${server.address}${path}`, { token, body: { name: `Tune the ${rareWord}` } })
  if (answer.status !== 201) throw new Error(`POST answered ${answer.status}: ${answer.body}`)
}

async function measure(tool: LoadTool, server: Server, target: string, databasePid?: number): Promise<Outcome[]> {
  const request: Requested = { method: 'GET', path: target }
  const rounds: Outcome[] = []
  for (let round = -1; round < Number(options.rounds); round++) {
    const outcome = await tool.load({
      port: Number(new URL(server.address).port),
      connections: 1,
      warmUp: 0.2,
      seconds: Number(options.seconds),
      requests: [toText(request)],
      once: false,
      status: 200,
      pids: { server: server.pid, ...(databasePid !== undefined && { database: databasePid }) },
    })
    // The first warms up.
    if (round >= 0) rounds.push(outcome)
  }
  return rounds
}

async function run(bench: Workbench, tool: LoadTool, kind: DatabaseKind): Promise<Growth[]> {
  const databaseUrl = await bench.createDatabase(kind)
  const databasePid = kind === 'postgresql' ? await bench.postgresqlPid() : undefined
  const found: Growth[] = []
  for (const [at, size] of sizes.entries()) {
    const seconds = grow(bench, databaseUrl, size)
    console.log(`\n${kind}: ${size} items, the last of them made in ${seconds.toFixed(0)} s`)
    const server = await bench.start(template, databaseUrl, { ...serverSettings, DATABASE_TIMEOUT_SECONDS: '600' })
    if (at === 0) await addRareItem(server)
    for (const name of options.requests.split(',')) {
      const rounds = await measure(tool, server, await paths[name]!(server, size), databasePid)
      found.push({ database: kind, name, title: titles[name]!, size, rounds })
    }
    await server.stop()
  }
  print(kind, found)
  return found
}

/** A row for each request and figure: its medians by size, and the last by the first. */
function print(kind: DatabaseKind, found: Growth[]): void {
  const rows = options.requests.split(',').flatMap((name) => {
    const own = found.filter((growth) => growth.name === name)
    const row = (unit: string, figure: (outcome: Outcome) => number) => {
      const medians = own.map(({ rounds }) => median(rounds.map(figure)))
      const factor = (medians.at(-1)! / medians[0]!).toFixed(2)
      return [`${titles[name]!}, ${unit}`, ...medians.map((value) => value.toFixed(2)), factor]
    }
    return [row('p50 ms', figures.p50), row('CPU ms', (outcome) => figures.wholeCpu(outcome) / 1000)]
  })
  console.log(`\n${kind}\n\n${table([['', ...sizes.map((size) => size.toLocaleString('en')), 'growth'], ...rows])}`)
}

await onWorkbench(async (bench) => {
  const tool = startLoadTool()
  try {
    const results: Growth[] = []
    for (const kind of options.only.replaceAll(/\bpg\b/g, 'postgresql').split(',') as DatabaseKind[])
      results.push(...(await run(bench, tool, kind)))
    const report = { ...machine(), growth: results }
    if (options.json !== undefined) writeJson(options.json, report)
  } finally {
    tool.stop()
  }
})
