// How much slower than hand-written is the template? It is measured against a server that does the same for six
// requests on items and nothing else (bench/limit), and against the servers in bench/peers, on both databases.
//
//   npm run bench -- [--short] [--only sqlite,postgresql] [--endpoints get,list] [--variants template,limit]
//                    [--rounds 5] [--seconds 2] [--items 10000] [--connections 32] [--json file]
//
// Method. All servers run on one database, which the template migrated and filled, and each on the same core by
// itself (idle ones wait); the load tool (bench/load/clients.ts, which says why it is not autocannon) and PostgreSQL
// have the other cores. Without `taskset` or on one core nothing is pinned, and the output says so. First each server
// must answer as the template does. Then, for each request, all servers are warmed up and measured in turn, round by
// round: what the machine does meanwhile hits all alike. Told are medians over the rounds, with the least and the
// most, of requests in a second, of processor time that the server took for one (all its threads and child
// processes, 10 ms being the finest that Linux tells), and of the times of answers. Ratios are taken within a round.
// PostgreSQL runs with `fsync=off`, SQLite as always.
import { parseArgs } from 'node:util'
import type { DatabaseKind } from '../tests/support/databases.ts'
import { requireRefusals, requireSameHeaders, requireSameShape, sample } from './load/check.ts'
import { endpoints, toText, type Endpoint, type World } from './load/requests.ts'
import { startLoadTool, type LoadTool } from './load/tool.ts'
import { addRows, createWorld, highestId, newestIds, removeSince } from './load/world.ts'
import { arePeersInstalled, installPeers } from './peers/index.ts'
import { machine, print, printTokenCost, writeJson, type Result } from './report/results.ts'
import { otherCores } from './support/processes.ts'
import { databaseKinds, onWorkbench, type Server, type Workbench } from './support/workbench.ts'
import { reference, serverSettings, variants, type Variant } from './variants.ts'

const { values: options } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string' },
    endpoints: { type: 'string' },
    variants: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    items: { type: 'string' },
    connections: { type: 'string', default: '32' },
    json: { type: 'string' },
  },
})
const { short } = options
const rounds = Number(options.rounds ?? (short ? 1 : 5))
const seconds = Number(options.seconds ?? (short ? 0.3 : 2))
const items = Number(options.items ?? (short ? 1000 : 10_000))
/** Seconds before the rounds, and before each measurement. */
const warmUps = short ? [0.1, 0.05] : [2, 0.3]
/** More than a server deletes in a second; the load ends sooner if it is fewer. */
const deletesPerSecond = short ? 3000 : 8000

/** Those that a list names. @throws Error when it names another one */
function named<T>(list: string | undefined, of: T[], nameOf: (entry: T) => string): T[] {
  const names = list?.split(',') ?? of.map(nameOf)
  return names.map((name) => of.find((entry) => nameOf(entry) === name) ?? raise(`There is no ${name}`))
}
const kinds = named(options.only?.replaceAll(/\bpg\b/g, 'postgresql'), databaseKinds, (kind) => kind)
const chosen = named(options.endpoints, endpoints, ({ name }) => name)
// The template is needed in any case: it says what is right. A short run downloads nothing that was not asked for.
const asked = named(options.variants, variants, ({ name }) => name)
const affordable = asked.filter(
  ({ isPeer, onlyNamed }) => options.variants || (!onlyNamed && (!isPeer || !short || arePeersInstalled())),
)
const competitors = [...new Set([variants[0]!, ...affordable])]

interface Running {
  variant: Variant
  server: Server
  /** Whose processor time is told: the server's, and PostgreSQL's. */
  pids: Record<string, number>
}

const answers = (variant: Variant, { name }: Endpoint) => variant.endpoints?.includes(name) ?? true

async function startAll(bench: Workbench, kind: DatabaseKind, databaseUrl: string): Promise<Running[]> {
  const running: Running[] = []
  const database = kind === 'postgresql' ? await bench.postgresqlPid() : undefined
  for (const variant of competitors) {
    const server = await bench.start(variant.program(kind), databaseUrl, {
      ...serverSettings,
      ...variant.settings,
    })
    running.push({ variant, server, pids: { server: server.pid, ...(database !== undefined && { database }) } })
  }
  return running
}

/** @throws Error when a server answers otherwise than the template */
async function checkAll(running: Running[], world: World): Promise<void> {
  const [{ server: template }] = running as [Running]
  for (const endpoint of chosen)
    for (const { variant, server } of running.filter(({ variant: each }) => answers(each, endpoint))) {
      const candidate = { ...variant, name: `${variant.name}, ${endpoint.title},` }
      const expected = await sample(template, endpoint, await worldFor(endpoint, world, server.databaseUrl, 2))
      const actual = await sample(server, endpoint, await worldFor(endpoint, world, server.databaseUrl, 2))
      requireSameShape(candidate, expected, actual)
      await requireRefusals(candidate, server, endpoint, world)
      if (variant.name === reference) requireSameHeaders(candidate, expected, actual)
    }
}

/** The world as a load on an endpoint needs it. */
async function worldFor(endpoint: Endpoint, world: World, databaseUrl: string, uses: number): Promise<World> {
  if (!endpoint.uses) return world
  const before = await addRows(databaseUrl, Math.ceil(uses * 1.3))
  return { ...world, ids: await newestIds(databaseUrl, uses, before) }
}

async function measure(tool: LoadTool, { server, pids }: Running, endpoint: Endpoint, world: World, warmUp: number) {
  const { databaseUrl, address } = server
  const before = await highestId(databaseUrl)
  const needed = await worldFor(endpoint, world, databaseUrl, Math.ceil(deletesPerSecond * (warmUp + seconds)))
  const outcome = await tool.load({
    port: Number(new URL(address).port),
    connections: Number(options.connections),
    warmUp,
    seconds,
    requests: endpoint.requests(needed).map(toText),
    once: endpoint.uses !== undefined,
    status: endpoint.status,
    pids,
  })
  await removeSince(databaseUrl, before)
  return outcome
}

async function run(bench: Workbench, tool: LoadTool, kind: DatabaseKind): Promise<Result[]> {
  const running = await startAll(bench, kind, await bench.createDatabase(kind))
  const world = await createWorld(running[0]!.server, items)
  const before = await highestId(running[0]!.server.databaseUrl)
  await checkAll(running, world)
  await removeSince(running[0]!.server.databaseUrl, before)

  const results: Result[] = []
  for (const endpoint of chosen) {
    const competing = running.filter(({ variant }) => answers(variant, endpoint))
    const measured: Result[] = competing.map(({ variant }) => ({
      database: kind,
      endpoint: endpoint.name,
      title: endpoint.title,
      variant: variant.name,
      rounds: [],
    }))
    for (const each of competing) await measure(tool, each, endpoint, world, warmUps[0]!)
    for (let round = 0; round < rounds; round++)
      for (const [at, each] of competing.entries())
        measured[at]!.rounds.push(await measure(tool, each, endpoint, world, warmUps[1]!))
    print(measured)
    results.push(...measured)
  }
  printTokenCost(results)
  for (const { server } of running) await server.stop()
  return results
}

function raise(message: string): never {
  throw new Error(message)
}

if (competitors.some(({ isPeer }) => isPeer)) installPeers()
await onWorkbench(async (bench) => {
  const tool = startLoadTool()
  try {
    if (otherCores === undefined) console.log('Nothing is pinned to a core: there is one alone, or no taskset.')
    const results: Result[] = []
    for (const kind of kinds) results.push(...(await run(bench, tool, kind)))
    const report = { ...machine(), rounds, seconds, items, connections: Number(options.connections), results }
    if (options.json !== undefined) writeJson(options.json, report)
  } finally {
    tool.stop()
  }
})
