import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { parseEnv } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { seededPassword, seededUsers } from '../../src/db/seed.ts'
import { freshDatabase } from '../support/databases.ts'
import { useProject, type Project } from '../support/process.ts'
import { environment } from '../support/settings.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** Listens on a free port of the loopback. Gives the port. */
async function listen(server: Server): Promise<number> {
  servers.push(server)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

const login = (address: string, email: string) =>
  fetch(`${address}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: seededPassword }),
  })

describe('a first start, with nothing configured', () => {
  const project = useProject()
  const names = ['SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY']
  const env = () => readFileSync(project.path('.env'), 'utf8')

  /** What the file holds now: the accounts, the items, and the migrations that were applied. */
  const content = () => {
    const database = new DatabaseSync(project.path('app.db'), { readOnly: true })
    const rows = ['users', 'items', 'migrations'].map((table) => database.prepare(`select * from ${table}`).all())
    database.close()
    return rows
  }

  test('makes everything a person needs, once, even when two servers start together', async () => {
    const programs = [project.start(), project.start()]
    const addresses = await Promise.all(programs.map((program) => program.address()))
    await Promise.all(programs.map((program) => program.seen(/Stop it with Ctrl\+C/)))

    expect(statSync(project.path('.env')).mode & 0o777).toBe(0o600)
    expect(readdirSync(project.folder).filter((name) => name.startsWith('.env.'))).toEqual(['.env.example'])
    const secrets = names.map((name) => parseEnv(env())[name]!)
    expect(new Set(secrets).size).toBe(3)
    for (const secret of secrets) expect(secret).toMatch(/^[\w-]{43,}=?$/)

    const [users, items, migrations] = content()
    expect([users!.length, items!.length]).toEqual([2, 3])
    expect(migrations).toHaveLength(
      readdirSync(project.path('migrations/sqlite')).filter((name) => name.endsWith('.ts')).length,
    )

    for (const [index, { output }] of programs.entries()) {
      for (const path of ['/api/v1', '/api/docs/swagger', '/health']) expect(output).toContain(addresses[index]! + path)
      for (const { email, role } of seededUsers) expect(output).toContain(`${email} (${role})`)
      expect(output).toContain(seededPassword)
      for (const secret of secrets) expect(output).not.toContain(secret)
      for (const { email } of seededUsers) expect((await login(addresses[index]!, email)).status).toBe(200)
    }
    expect(await Promise.all(programs.map((program) => program.stop()))).toEqual([0, 0])
  })

  test('is the only one that changes anything: the second leaves .env and the data alone', async () => {
    const before = { env: env(), content: content() }
    const program = project.start()
    await program.seen(/Stop it with/)
    expect(program.output).not.toMatch(/migrated|seeded/)
    expect(await program.stop()).toBe(0)
    expect({ env: env(), content: content() }).toEqual(before)
  })
})

describe('a start that cannot work ends with exit code 1 and a plain word', () => {
  const project = useProject()
  const failed = async (settings: Record<string, string>) => {
    const program = project.start(settings)
    expect(await program.ended).toBe(1)
    expect(program.output).not.toMatch(/^ {4}at /m)
    return program.output
  }
  const filesOf = ({ folder }: Project) => readdirSync(folder).toSorted()

  test('on bad settings, all of them at once, and not their values', async () => {
    const output = await failed({
      PORT: 'hidden',
      SECRET_KEY: 'hidden',
      JWT_SECRET_KEY: 'change-me',
      ENCRYPTION_KEY: 'hidden',
      DATABASE_URL: 'mysql://root:hidden@localhost/app',
      LOG_LEVEL: 'hidden',
    })
    for (const name of ['PORT', 'SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY', 'DATABASE_URL', 'LOG_LEVEL'])
      expect(output).toMatch(new RegExp(`^ {2}${name} (must|is)`, 'm'))
    expect(output).not.toContain('hidden')
  })

  test('in production without secrets, and writes no file', async () => {
    const before = filesOf(project)
    const output = await failed({ NODE_ENV: 'production' })
    for (const name of ['SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY'])
      expect(output).toContain(`${name} is not set`)
    expect(filesOf(project)).toEqual(before)
  })

  test('in production without a database file, and makes none', async () => {
    const before = filesOf(project)
    const output = await failed({ ...environment, NODE_ENV: 'production' })
    expect(output).toMatch(/^There is no database yet.*npx app db upgrade.*\n$/)
    expect(filesOf(project)).toEqual(before)
  })

  test('in production with pending migrations, and migrates nothing', async () => {
    new DatabaseSync(project.path('app.db')).close()
    const output = await failed({ ...environment, NODE_ENV: 'production' })
    expect(output).toMatch(/^Pending migrations: \d+\..*npx app db upgrade.*\n$/)
    const database = new DatabaseSync(project.path('app.db'), { readOnly: true })
    expect(database.prepare('select name from sqlite_master').all()).toEqual([])
    database.close()
  })

  test('in development without its database', async () => {
    const output = await failed({ ...environment, DATABASE_URL: 'postgresql://app:hidden@127.0.0.1:1/app' })
    expect(output).toMatch(/^The database is not available.*DATABASE_URL\n$/)
  })

  test('on a port that is taken', async () => {
    const port = await listen(createServer())
    const output = await failed({ ...environment, PORT: `${port}`, DATABASE_URL: 'sqlite:///:memory:' })
    expect(output).toMatch(new RegExp(`^Cannot listen on HOST 127.0.0.1, PORT ${port}: .*EADDRINUSE.*$`, 'm'))
  })
})

describe('in production', () => {
  const project = useProject()

  test('a server whose database is away lives, is not ready, and heals when it comes', async () => {
    const url = new URL(await freshDatabase('postgresql'))
    let isAway = true
    const way = createServer((socket) => {
      const database = connect(Number(url.port), url.hostname)
      for (const end of [socket, database]) end.on('error', () => {})
      if (isAway) for (const end of [socket, database]) end.destroy()
      else socket.pipe(database).pipe(socket)
    })
    const away = new URL(url)
    away.port = `${await listen(way)}`
    const program = project.start({ ...environment, NODE_ENV: 'production', DATABASE_URL: away.href })
    const address = await program.address()
    const statuses = () =>
      Promise.all(['live', 'ready'].map(async (name) => (await fetch(`${address}/health/${name}`)).status))
    expect(await statuses()).toEqual([200, 503])

    isAway = false
    await vi.waitFor(async () => expect(await statuses()).toEqual([200, 200]), 10_000)
    expect(await program.stop()).toBe(0)

    const lines = program.output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.filter(({ level }) => level === 'error').length).toBeGreaterThan(0)
    expect(program.output).not.toContain(seededPassword)
  })
})
