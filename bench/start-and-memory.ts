// How soon does the template answer, and how much memory does it hold?
//
//   npm run bench:start -- [--starts 10] [--requests 1000000] [--json file]
//
// On SQLite: from the start of the process to its first answer, asked every 2 ms, after one start that fills the
// compile cache, where the template has one; then resident memory right after the start, and after many requests of
// several kinds (GET item, list and POST, a third each). Both depend on the machine, which the JSON names.
import { parseArgs } from 'node:util'
import { endpoints, toText } from './load/requests.ts'
import { startLoadTool, type LoadTool } from './load/tool.ts'
import { createWorld } from './load/world.ts'
import { machine, median, writeJson } from './report/results.ts'
import { table } from './support/figures.ts'
import { processorTime, residentMemory } from './support/processes.ts'
import { onWorkbench, template, type Workbench } from './support/workbench.ts'
import { serverSettings } from './variants.ts'

const { values: options } = parseArgs({
  options: {
    starts: { type: 'string', default: '10' },
    requests: { type: 'string', default: '1000000' },
    json: { type: 'string' },
  },
})
const starts = Number(options.starts)
const wanted = Number(options.requests)
const kinds = ['get', 'list', 'post']

async function start(bench: Workbench, databaseUrl: string) {
  const begin = performance.now()
  const server = await bench.start(template, databaseUrl, serverSettings)
  return { server, milliseconds: performance.now() - begin, cpu: processorTime(server.pid) / 1000 }
}

async function measureStarts(bench: Workbench, databaseUrl: string) {
  const times: number[] = []
  const cpus: number[] = []
  const memory: number[] = []
  for (let at = -1; at < starts; at++) {
    const { server, milliseconds, cpu } = await start(bench, databaseUrl)
    if (at >= 0) {
      times.push(milliseconds)
      cpus.push(cpu)
      memory.push(residentMemory(server.pid))
    }
    await server.stop()
  }
  return { times, cpus, memory }
}

/** Resident memory after each tenth of the requests. */
async function measureMemory(bench: Workbench, tool: LoadTool, databaseUrl: string): Promise<number[]> {
  const { server } = await start(bench, databaseUrl)
  const world = await createWorld(server, 1000)
  const memory = [residentMemory(server.pid)]
  for (let sent = 0; sent < wanted;) {
    for (const { status, requests } of endpoints.filter(({ name }) => kinds.includes(name))) {
      const texts = requests(world).map(toText)
      const number = Math.ceil(wanted / 10 / kinds.length)
      await tool.load({
        port: Number(new URL(server.address).port),
        connections: 32,
        warmUp: 0,
        seconds: 24 * 60 * 60,
        requests: Array.from({ length: number }, (_, at) => texts[at % texts.length]!),
        once: true,
        status,
        pids: {},
      })
      sent += number
    }
    memory.push(residentMemory(server.pid))
  }
  await server.stop()
  return memory
}

const rounded = (values: number[]) => values.map((value) => value.toFixed(0))

await onWorkbench(async (bench) => {
  const tool = startLoadTool()
  try {
    const databaseUrl = await bench.createDatabase('sqlite')
    const { times, cpus, memory } = await measureStarts(bench, databaseUrl)
    const show = (values: number[]) => rounded([median(values), Math.min(...values), Math.max(...values)])
    console.log(`\n${starts} starts on SQLite, each after another\n`)
    console.log(
      table([
        ['', 'median', 'least', 'most'],
        ['start to first answer, ms', ...show(times)],
        ['processor time to it, ms', ...show(cpus)],
        ['memory then, MiB', ...show(memory)],
      ]),
    )
    const growing = await measureMemory(bench, tool, databaseUrl)
    const factor = Math.max(...growing) / median(memory)
    console.log(`\nMiB after each tenth of ${wanted} requests: ${rounded(growing).join(' ')}`)
    console.log(`At most ${factor.toFixed(2)} times the memory after a start.`)
    if (options.json !== undefined)
      writeJson(options.json, {
        ...machine(),
        start: { requests: wanted, start_ms: times, start_cpu_ms: cpus, memory_mib: memory, growing_mib: growing },
      })
  } finally {
    tool.stop()
  }
})
