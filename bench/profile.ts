// Where does the template's time go? A profile of the server under load, by part and by function.
//
//   npm run bench:profile -- [--only sqlite,postgresql] [--endpoints get,list] [--seconds 5] [--top 15] [--variant template] [--json file]
//
// V8 samples the server's main thread (`--cpu-prof`) from its start to its end, most of which is one kind of
// request. Told is self time: of a function itself, without those it calls; idle time and the start are left out.
// Sampling costs time too, so that shares can be trusted and absolute times cannot.
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { DatabaseKind } from '../tests/support/databases.ts'
import { endpoints, toText, type Endpoint } from './load/requests.ts'
import { startLoadTool, type LoadTool } from './load/tool.ts'
import { createWorld } from './load/world.ts'
import { machine, writeJson, type Share } from './report/results.ts'
import { table } from './support/figures.ts'
import { onWorkbench, template, type Program, type Workbench } from './support/workbench.ts'
import { serverSettings, variants } from './variants.ts'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'sqlite,postgresql' },
    endpoints: { type: 'string', default: 'get,list' },
    seconds: { type: 'string', default: '5' },
    top: { type: 'string', default: '15' },
    variant: { type: 'string', default: 'template' },
    json: { type: 'string' },
  },
})

interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[]
  samples: number[]
  timeDeltas: number[]
}

const notWork = ['(idle)', '(program)', '(root)']

/** Microseconds of self time by key, the longest first. */
function selfTimes({ nodes, samples, timeDeltas }: Profile, from: number, keyOf: (frame: Frame) => string) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const times = new Map<string, number>()
  let elapsed = 0
  for (const [at, id] of samples.entries()) {
    elapsed += timeDeltas[at]!
    const frame = frames.get(id)!
    if (elapsed < from || notWork.includes(frame.functionName)) continue
    const key = keyOf(frame)
    times.set(key, (times.get(key) ?? 0) + timeDeltas[at]!)
  }
  return [...times].toSorted(([, a], [, b]) => b - a)
}
type Frame = Profile['nodes'][number]['callFrame']

/** The package, the part of Node.js or the folder of the project that a function belongs to. */
function partOf({ url, functionName }: Frame): string {
  if (functionName === '(garbage collector)') return functionName
  if (url === '') return 'native code'
  if (url.startsWith('node:')) return url.replace(/^node:(internal\/)?/, 'node:').split('/', 1)[0]!
  return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? shortened(url)
}

/** From `src/` or `bench/` on. */
const shortened = (url: string) => url.replace(/.*\/(?=(src|bench)\/)/, '')

const nameOf = ({ functionName, url, lineNumber }: Frame) =>
  `${functionName || '(anonymous)'}  ${url.replace(/.*node_modules\//, '').replace(/.*\/(?=(src|bench)\/)/, '')}${url ? `:${lineNumber + 1}` : ''}`

async function profile(bench: Workbench, tool: LoadTool, kind: DatabaseKind, endpoint: Endpoint): Promise<Share[]> {
  const folder = mkdtempSync(join(tmpdir(), 'profile-'))
  const variant = variants.find(({ name }) => name === options.variant)
  if (!variant) throw new Error(`There is no ${options.variant}`)
  const { command, ...others } = variant.program(kind)
  const [node, ...rest] = command
  const program: Program = { ...others, command: [node!, '--cpu-prof', '--cpu-prof-dir', folder, ...rest] }
  const databaseUrl = await bench.createDatabase(kind)
  const registrar = await bench.start(template, databaseUrl, serverSettings)
  const world = await createWorld(registrar, 10_000)
  await registrar.stop()
  const begin = performance.now()
  const server = await bench.start(program, databaseUrl, serverSettings)
  const warmUp = 2
  // The samples before this are of the start and the warm-up.
  const from = (performance.now() - begin + warmUp * 1000) * 1000
  await tool.load({
    port: Number(new URL(server.address).port),
    connections: 32,
    warmUp,
    seconds: Number(options.seconds),
    requests: endpoint.requests(world).map(toText),
    once: false,
    status: endpoint.status,
    pids: {},
  })
  await server.stop()
  const [file] = readdirSync(folder)
  const found = JSON.parse(readFileSync(join(folder, file!), 'utf8')) as Profile
  const parts = selfTimes(found, from, partOf)
  print(`${endpoint.title}, ${kind}, by part`, parts)
  print(`${endpoint.title}, ${kind}, by function`, selfTimes(found, from, nameOf))
  const whole = sum(parts)
  return parts.map(([part, time]) => ({ database: kind, title: endpoint.title, part, share: time / whole }))
}

const sum = (times: [string, number][]) => times.reduce((total, [, time]) => total + time, 0)

function print(title: string, times: [string, number][]): void {
  const whole = sum(times)
  const rows = times.slice(0, Number(options.top)).map(([key, time]) => [key, `${((time / whole) * 100).toFixed(1)} %`])
  console.log(`\n${title}\n\n${table([['', 'self time'], ...rows])}`)
}

await onWorkbench(async (bench) => {
  const tool = startLoadTool()
  try {
    const shares: Share[] = []
    for (const kind of options.only.replaceAll(/\bpg\b/g, 'postgresql').split(',') as DatabaseKind[])
      for (const endpoint of endpoints.filter(({ name }) => options.endpoints.split(',').includes(name)))
        shares.push(...(await profile(bench, tool, kind, endpoint)))
    if (options.json !== undefined) writeJson(options.json, { ...machine(), profile: shares })
  } finally {
    tool.stop()
  }
})
