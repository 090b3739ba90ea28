import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import { createProgram } from '../../src/commands/program.ts'
import { createEncryption } from '../../src/core/security/encryption.ts'
import { Api } from '../support/api.ts'
import { useProject } from '../support/process.ts'
import { environment } from '../support/settings.ts'

const project = useProject()
const envFile = project.path('.env')
afterEach(() => rmSync(envFile, { force: true }))

describe('the command line', () => {
  test('explains each group, each command and itself', async () => {
    const groups = createProgram().commands
    // Each command's own page is made by the same code; a process for each would take a minute.
    for (const command of groups.flatMap((group) => [group, ...group.commands])) {
      expect(command.description()).not.toBe('')
      expect(command.helpInformation()).toContain(`Usage: app `)
    }
    const asked = [['--help'], ['db', '--help'], ['help', 'sessions'], ['users', 'create', '--help']]
    const pages = await Promise.all(asked.map((parameters) => project.app(parameters)))
    for (const { code, stdout, stderr } of pages) {
      expect([code, stderr]).toEqual([0, ''])
      expect(stdout).toMatch(/^Usage: app /)
    }
    for (const group of groups) expect(pages[0]!.stdout).toContain(`\n  ${group.name()} `)
    for (const code of [0, 1, 2, 3, 130]) expect(pages[0]!.stdout).toMatch(new RegExp(`^  ${code} +\\w`, 'm'))
    expect(existsSync(envFile)).toBe(false)
  })

  test('is npx app', async () => {
    const { name, version } = JSON.parse(readFileSync(project.path('package.json'), 'utf8')) as Record<string, string>
    const npx = project.run(['npm', 'exec', '--offline', '--', 'app', '--version'], { HOME: project.folder })
    npx.endInput()
    expect([name, await npx.ended, npx.stdout]).toEqual([name, 0, `${version}\n`])
  })

  test('ends with 2 when used wrongly, in one or two lines, and touches nothing', async () => {
    const wrong = [
      ['launch'],
      ['users', 'lst'],
      ['users', 'show'],
      ['config', '--secrets'],
      ['users', 'set-role', 'a@example.com', 'emperor'],
      ['db', 'seed', '--users'],
    ]
    const told = await Promise.all(wrong.map((parameters) => project.app(parameters, environment)))
    for (const { code, stdout, stderr } of told) {
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toMatch(/^error: .+\n(\(Did you mean .+\)\n)?$/)
    }
    const [nothing, group] = await Promise.all([project.app([]), project.app(['users'])])
    for (const { code, stderr } of [nothing, group])
      expect([code, stderr]).toEqual([2, expect.stringMatching(/^Usage: /)])
    expect(existsSync(project.path('app.db'))).toBe(false)
  })

  test('ends with 3 when the database is away, and with 2 when it is configured wrongly', async () => {
    const commands = [
      ['users', 'list'],
      ['sessions', 'purge'],
      ['keys', 'rotate'],
      ['db', 'stats'],
    ]
    const away = { ...environment, DATABASE_URL: 'postgresql://app:hunter2@127.0.0.1:1/app' }
    const faulty = { ...environment, DATABASE_URL: 'mysql://hunter2', PORT: 'hunter2' }
    const told = await Promise.all(
      [away, faulty].flatMap((settings) => commands.map((parameters) => project.app(parameters, settings))),
    )
    for (const { code, output } of told.slice(0, commands.length))
      expect([code, output]).toEqual([
        3,
        expect.stringMatching(/^The database is not available right now \(.+\): look at DATABASE_URL\n$/),
      ])
    for (const { code, output } of told.slice(commands.length))
      expect([code, output]).toEqual([
        2,
        expect.stringMatching(
          /^The configuration has 2 faults:\n {2}PORT must be a whole number\n {2}DATABASE_URL must be .+\n$/,
        ),
      ])
    expect(JSON.stringify(told)).not.toContain('hunter2')
  })

  test('ends without a word when its reader has enough', async () => {
    const shell = project.run([
      'sh',
      '-c',
      `'${process.execPath}' src/cli.ts openapi | head -1; '${process.execPath}' src/cli.ts routes | true`,
    ])
    shell.endInput()
    expect([await shell.ended, shell.output]).toEqual([0, '{\n'])
  })
})

test('routes and document are those that the server serves, without secrets or a database', async () => {
  // As .env.example has them before the first start: named and empty.
  writeFileSync(envFile, 'SECRET_KEY=\nREDIS_URL=redis://127.0.0.1:1\n')
  const given = { DATABASE_URL: 'postgresql://127.0.0.1:1/app' }
  const [document, written, json, fields, unwritable] = await Promise.all([
    project.app(['openapi'], given),
    project.app(['openapi', 'a.json'], given),
    project.app(['routes', '--json'], given),
    project.app(['routes'], { ...given, NODE_ENV: 'production' }),
    project.app(['openapi', 'no/such/folder.json'], given),
  ])
  const api = new Api()
  await api.start('sqlite')
  const served: unknown = await (await fetch(`${api.address}/api/docs/openapi.json`)).json()
  await api.stop()
  expect(JSON.parse(document.stdout)).toEqual(served)
  expect(written).toMatchObject({ code: 0, output: 'wrote a.json\n' })
  expect(readFileSync(project.path('a.json'), 'utf8')).toBe(document.stdout)
  expect(unwritable).toMatchObject({ code: 1, output: expect.stringMatching(/^ENOENT: .+\n$/) })

  const { routes } = JSON.parse(json.stdout) as { routes: { method: string; path: string; guard: string }[] }
  const { paths } = served as { paths: Record<string, Record<string, { operationId: string }>> }
  for (const [path, operations] of Object.entries(paths))
    for (const [method, { operationId }] of Object.entries(operations))
      expect(routes).toContainEqual(
        expect.objectContaining({ method: method.toUpperCase(), path, operation_id: operationId }),
      )
  expect(routes.every(({ guard }) => guard !== '')).toBe(true)
  expect(fields.stdout).toMatch(/^POST\t\/api\/v1\/auth\/login\t\S+\tlogin$/m)
  expect(fields.stdout).not.toContain('/api/docs/')
})

test('settings are told with where they come from, and nothing is written', async () => {
  const none = await project.app(['config'])
  expect([none.code, none.stderr]).toEqual([
    2,
    'SECRET_KEY is not set\nJWT_SECRET_KEY is not set\nENCRYPTION_KEY is not set\n',
  ])
  expect(existsSync(envFile)).toBe(false)

  writeFileSync(envFile, "LOG_LEVEL=warn\nPORT=81\nLOGLEVEL=hunter2\nDATABASE_URL='postgresql://app:hunter2@db/app'\n")
  const [fields, json, faulty] = await Promise.all([
    project.app(['config'], { ...environment, LOG_LEVEL: '' }),
    project.app(['config', '--json'], environment),
    project.app(['config', '--json'], {
      ...environment,
      DATABASE_URL: 'mysql://app:hunter2@db/app',
      NODE_ENV: 'hunter2',
    }),
  ])
  expect([fields.code, fields.stderr]).toEqual([0, 'LOGLEVEL stands in .env and is no setting\n'])
  expect(fields.stdout).toMatch(/^LOG_LEVEL\twarn\t\.env$/m)
  // The test's own port.
  expect(fields.stdout).toMatch(/^PORT\t0\tenvironment$/m)
  expect(fields.stdout).toMatch(/^HOST\t127\.0\.0\.1\tdefault$/m)
  expect(fields.stdout).toMatch(/^DATABASE_URL\tpostgresql:\/\/app:hidden@db\/app\t\.env$/m)
  expect(JSON.parse(json.stdout)).toMatchObject({ faults: [], unknown: ['LOGLEVEL'] })
  expect(faulty.code).toBe(2)
  expect((JSON.parse(faulty.stdout) as { faults: string[] }).faults.map((fault) => fault.split(' ')[0])).toEqual([
    'NODE_ENV',
    'DATABASE_URL',
  ])
  const all = JSON.stringify([fields, json, faulty])
  for (const secret of ['hunter2', environment.SECRET_KEY, environment.JWT_SECRET_KEY, environment.ENCRYPTION_KEY])
    expect(all).not.toContain(secret)
})

test('made secrets are lines of .env with which a database works, and a rotation tells in JSON', async () => {
  const { code, stdout } = await project.app(['keys', 'generate'])
  expect(code).toBe(0)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])
  const secrets = Object.fromEntries(lines)
  expect(Object.keys(secrets)).toEqual(['SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY', 'POSTGRES_PASSWORD'])
  expect(() => createEncryption([secrets['ENCRYPTION_KEY']!])).not.toThrow()
  expect(existsSync(envFile)).toBe(false)

  writeFileSync(envFile, stdout)
  expect((await project.app(['db', 'upgrade'])).code).toBe(0)
  const rotated = await project.app(['keys', 'rotate', '--json'])
  expect(rotated.code).toBe(0)
  const { columns } = JSON.parse(rotated.stdout) as { columns: object[] }
  expect(columns).toContainEqual({ column: 'sessions.ip', renewed: 0, current: 0, unreadable: 0 })
})
