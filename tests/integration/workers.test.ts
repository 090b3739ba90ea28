import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { openDatabase } from '../../src/db/database.ts'
import { seededPassword, seededUsers } from '../../src/db/seed.ts'
import { ask, askUntilClosed, beginRegistration, startLoad, untilRefused } from '../support/clients.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { useProject, type Program } from '../support/process.ts'
import { environment, settings } from '../support/settings.ts'

const patiently = { timeout: 50_000, interval: 50 }
const production = async (more: Record<string, string> = {}) => ({
  ...environment,
  NODE_ENV: 'production',
  DATABASE_URL: await freshDatabase('sqlite'),
  ...more,
})

const notReplaced = 'a new worker did not come up: the others stay as they are'

/** Log lines with a message. */
const lines = (program: Program, message: string) => program.log().filter(({ msg }) => msg === message)
/** The process ids of all workers that ever listened, in the order of their coming. */
const pids = (program: Program) => lines(program, 'a worker listens').map(({ pid }) => Number(pid))

/** Waits until so many workers have come up since the start. */
const listening = (program: Program, ever: number) =>
  vi.waitFor(() => expect(pids(program)).toHaveLength(ever), patiently)

const post = (url: string, body: object, token?: string) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  })
const atOnce = <T>(times: number, work: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: times }, (_, index) => work(index)))
const tokens = async (answer: Response) =>
  ((await answer.json()) as { data: { access_token: string; refresh_token: string } }).data
/** How many answers had which status. */
const statuses = (answers: { status: number }[]) => {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

onEachDatabase((kind) => {
  const project = useProject()

  test('several workers prepare the database once, greet once, and are one server to their clients', async () => {
    const url = await freshDatabase(kind, true)
    const program = project.start({
      ...environment,
      NODE_ENV: 'development',
      WEB_CONCURRENCY: '3',
      DATABASE_URL: url,
      RATE_LIMIT_ENABLED: 'true',
      RATE_LIMIT_PER_MINUTE: '40',
    })
    await vi.waitFor(() => expect(program.output.match(/a worker listens/g)).toHaveLength(3), patiently)
    const address = await program.address()
    for (const said of [/ migrated /g, / seeded/g, /is running\./g]) expect(program.output.match(said)).toHaveLength(1)
    const [, told] = await program.seen(/API +(http:\S+)\/api\/v1\/items/)
    expect(told).toBe(address)

    // The system hands out connections as it likes, and forgets nobody.
    await vi.waitFor(async () => {
      await atOnce(50, () => ask(`${address}/health/live`))
      const served = [...program.output.matchAll(/: request \{"worker":(\d+)/g)].map(([, worker]) => worker)
      expect(new Set(served).size).toBe(3)
    }, patiently)

    // The supervisor counts requests: exactly so many pass, whoever takes them.
    expect(statuses(await atOnce(60, () => fetch(`${address}/api/v1/items`)))).toEqual({ 200: 40, 429: 20 })
    // The database counts guesses.
    const login = `${address}/api/v1/auth/login`
    const [email, other] = seededUsers.map((user) => user.email)
    const guesses = await atOnce(20, () => post(login, { email, password: 'a wrong password' }))
    expect(statuses(guesses)).toEqual({ 401: 5, 429: 15 })

    // A session is good with every worker, rotates once, and ends with all of them.
    const session = await tokens(await post(login, { email: other, password: seededPassword }))
    const refreshed = await atOnce(10, () =>
      post(`${address}/api/v1/auth/refresh`, { refresh_token: session.refresh_token }),
    )
    const successors = await Promise.all(refreshed.map(tokens))
    expect(new Set(successors.map(({ refresh_token }) => refresh_token)).size).toBe(1)
    const write = (index: number) =>
      post(`${address}/api/v1/items`, { name: `Written at once ${index}` }, session.access_token)
    expect(statuses(await atOnce(30, write))).toEqual({ 201: 30 })
    expect((await post(`${address}/api/v1/auth/logout`, { refresh_token: successors[0]!.refresh_token })).ok).toBe(true)
    expect(statuses(await atOnce(10, write))).toEqual({ 401: 10 })

    // Ctrl+C goes to all of them, and npm passes it on once more.
    const workers = [...program.output.matchAll(/\((\d+)\): a worker listens/g)].map(([, pid]) => Number(pid))
    for (const pid of [program.pid, ...workers, program.pid]) process.kill(pid, 'SIGINT')
    expect(await program.ended).toBe(0)
    expect(program.output).not.toMatch(/WARN|ERROR|FATAL/)

    const database = openDatabase(settings({ DATABASE_URL: url }))
    const items = await database.query().selectFrom('items').select('name').execute()
    await database.close()
    expect(items.filter(({ name }) => name.startsWith('Written at once')).length).toBe(30)
  })
})

describe('a supervisor', () => {
  const project = useProject()
  const newOrigin = 'https://new.example'
  let program: Program
  let address: string

  beforeAll(async () => {
    const start = await production({ WEB_CONCURRENCY: '2' })
    const database = openDatabase(settings(start))
    const old = { event: 'login.failed', kept_until: database.clock(-1) }
    await database.query().insertInto('audit_events').values(old).execute()
    await database.close()
    writeFileSync(
      project.path('faults.js'),
      `import cluster from 'node:cluster'
       import { existsSync } from 'node:fs'
       if (cluster.isWorker && existsSync('crash')) process.exit(3)`,
    )
    program = project.start(start, '--import', './faults.js')
    await listening(program, 2)
    address = await program.address()
  })

  test('starts another worker when one is killed: whoever was with that one has to ask again, nobody else', async () => {
    const load = startLoad(address, 6)
    await load.more(50)
    process.kill(pids(program)[0]!, 'SIGKILL')
    await listening(program, 3)
    expect(program.output.match(/(?<=Server listening at )[^"]+/g)).toEqual([address, address, address])
    await load.more(50)
    expect((await load.stop()).length).toBeLessThanOrEqual(6)
  })

  test('starts all anew when all are killed at once', async () => {
    for (const pid of pids(program).slice(-2)) process.kill(pid, 'SIGKILL')
    await listening(program, 5)
    // When nobody listened any more, PORT=0 may have found another port: one for both.
    const addresses = program.output.match(/(?<=Server listening at )[^"]+/g)!.slice(-2)
    expect(addresses[0]).toBe(addresses[1])
    address = addresses[0]!
    expect((await ask(`${address}/health/live`)).statusCode).toBe(200)
  })

  test('replaces all on SIGHUP, with new settings and without a failed request', async () => {
    const old = pids(program).slice(-2)
    const load = startLoad(address, 6)
    await load.more(20)
    writeFileSync(project.path('.env'), `CORS_ORIGINS=${newOrigin}`)
    program.kill('SIGHUP')
    await program.seen(/all workers replaced/)
    await load.more(50)
    expect(await load.stop()).toEqual([])
    await listening(program, 7)
    for (const pid of old) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    const { headers } = await fetch(`${address}/api/v1/items`, { headers: { origin: newOrigin } })
    expect(headers.get('access-control-allow-origin')).toBe(newOrigin)
  })

  test.for([
    ['bad settings', '.env', 'SESSION_IDLE_DAYS=none', /SESSION_IDLE_DAYS must be/],
    ['code that wants another migration', 'migrations/sqlite/Migration29991231_more.ts', '', /Pending migrations: 1\./],
  ] as const)('replaces nobody by %s', async ([, file, content, said]) => {
    const before = pids(program)
    const failures = lines(program, notReplaced).length
    writeFileSync(project.path(file), content)
    program.kill('SIGHUP')
    await program.seen(said)
    await vi.waitFor(() => expect(lines(program, notReplaced).length).toBe(failures + 1), patiently)
    rmSync(project.path(file))
    expect(pids(program)).toEqual(before)
    for (const pid of before.slice(-2)) process.kill(pid, 0)
  })

  test('waits longer each time a worker ends at once, and has it back when it can', async () => {
    const before = pids(program)
    writeFileSync(project.path('crash'), '')
    process.kill(before.at(-1)!, 'SIGKILL')
    await program.seen(/"wait_ms":400/)
    expect((await ask(`${address}/health/live`)).statusCode).toBe(200)
    rmSync(project.path('crash'))
    await listening(program, before.length + 1)
    const waits = lines(program, 'a worker died').map(({ wait_ms }) => Number(wait_ms))
    expect(waits.slice(-4)).toEqual([0, 100, 200, 400])
  })

  test('ends all on SIGTERM, fails no request, and exits with 0', async () => {
    const begun = new Set<number>()
    const clients = Array.from({ length: 6 }, (_, index) => askUntilClosed(address, () => begun.add(index)))
    await vi.waitFor(() => expect(begun.size).toBe(6), patiently)
    const running = await beginRegistration(address, 'last@example.com')
    program.kill('SIGTERM')
    await untilRefused(address)
    for (const answers of await Promise.all(clients)) expect(new Set(answers)).toEqual(new Set([200]))
    expect(await running.finish()).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
    expect(await program.ended).toBe(0)
  })

  test('has workers that purge once together, and whose log lines can be told apart', () => {
    expect(lines(program, 'job done').map(({ job }) => job)).toEqual([
      { sessions: 0, throttles: 0, idempotency_keys: 0, audit_events: 1 },
    ])
    const ids = new Set(lines(program, 'a worker listens').map(({ id }) => id))
    expect(ids.size).toBe(pids(program).length)
    for (const { worker } of lines(program, 'request')) expect(ids).toContain(worker)
    for (const message of ['a worker listens', 'a worker died', 'all workers replaced'])
      for (const line of lines(program, message)) expect(line).not.toHaveProperty('worker')
  })
})

describe('a supervisor', () => {
  const project = useProject()

  test('that is killed leaves workers that finish what runs, and end', async () => {
    const program = project.start(await production({ WEB_CONCURRENCY: '2' }))
    await listening(program, 2)
    const address = await program.address()
    const running = await beginRegistration(address, 'orphan@example.com')
    program.kill('SIGKILL')
    await untilRefused(address)
    expect(await running.finish()).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
    expect(await program.ended).toBe(null)
  })

  test('ends its workers at once at a second signal', async () => {
    const program = project.start(await production({ WEB_CONCURRENCY: '2', SHUTDOWN_TIMEOUT_SECONDS: '600' }))
    await listening(program, 2)
    const running = await beginRegistration(await program.address(), 'impatient@example.com')
    program.kill('SIGTERM')
    await program.seen(/"stopping"/)
    await sleep(600)
    program.kill('SIGTERM')
    expect(await program.ended).toBe(1)
    await running.closed
  })

  test('tells once what keeps its first worker from listening, and ends', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const program = project.start(await production({ WEB_CONCURRENCY: '3', PORT: `${port}` }))
    expect(await program.ended).toBe(1)
    server.close()
    expect(program.output).toMatch(new RegExp(`^Cannot listen on HOST 127.0.0.1, PORT ${port}: .*EADDRINUSE[^\n]*\n$`))
  })
})
