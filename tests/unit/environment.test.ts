import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import { projectRoot, readConfig } from '../../src/core/config.ts'
import { loadEnvironment } from '../../src/core/environment.ts'

// Only where the project lies is made up: the developer's own `.env` must not be touched.
vi.mock(import('../../src/core/config.ts'), async (original) => {
  const { mkdtempSync } = await import('node:fs')
  const { tmpdir } = await import('node:os')
  return { ...(await original()), projectRoot: mkdtempSync(join(tmpdir(), 'environment-')) }
})

const example = join(import.meta.dirname, '../../.env.example')
const file = join(projectRoot, '.env')
const secrets = ['SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY', 'POSTGRES_PASSWORD']
const given = { SECRET_KEY: 'from the environment', JWT_SECRET_KEY: 'from it too', ENCRYPTION_KEY: 'and this' }

/** Loads with these variables set and none of the machine's that matter here. */
function loadWith(variables: Record<string, string>) {
  for (const name of [...secrets, 'NODE_ENV', 'LOG_LEVEL', 'HOST']) vi.stubEnv(name, variables[name])
  return loadEnvironment()
}

beforeEach(() => {
  copyFileSync(example, join(projectRoot, '.env.example'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(file, { recursive: true, force: true })
})
afterAll(() => rmSync(projectRoot, { recursive: true }))

test('a first start writes .env for its owner alone, with secrets of its own that work', () => {
  const loaded = loadWith({})
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readdirSync(projectRoot).toSorted()).toEqual(['.env', '.env.example'])

  const written = parseEnv(readFileSync(file, 'utf8'))
  expect(loaded).toMatchObject(written)
  expect(new Set(secrets.map((name) => written[name])).size).toBe(secrets.length)
  expect(() => readConfig(loaded)).not.toThrow()

  const withoutSecrets = (text: string) => text.replaceAll(new RegExp(`^(${secrets.join('|')})=.+$`, 'gm'), '$1')
  expect(withoutSecrets(readFileSync(file, 'utf8'))).toBe(withoutSecrets(readFileSync(example, 'utf8')))
})

test('each first start makes other secrets, and a second start keeps them', () => {
  const first = loadWith({})
  expect(loadWith({})).toEqual(first)
  rmSync(file)
  for (const name of secrets) expect(loadWith({})[name]).not.toBe(first[name])
})

test('a .env that is there is read and never written, even without secrets in it', () => {
  writeFileSync(file, 'LOG_LEVEL=warn\nSECRET_KEY=\n')
  expect(loadWith({})).toMatchObject({ LOG_LEVEL: 'warn', SECRET_KEY: '' })
  expect(readFileSync(file, 'utf8')).toBe('LOG_LEVEL=warn\nSECRET_KEY=\n')
})

test('the real environment wins over .env, unless it is empty', () => {
  writeFileSync(file, 'LOG_LEVEL=warn\nHOST=0.0.0.0\n')
  expect(loadWith({ LOG_LEVEL: 'error', HOST: ' ' })).toMatchObject({ LOG_LEVEL: 'error', HOST: '0.0.0.0' })
})

test('where the environment names every secret, no file is written', () => {
  expect(loadWith(given)).toMatchObject(given)
  expect(existsSync(file)).toBe(false)
})

test('where it names some of them, the file gives the rest', () => {
  const { ENCRYPTION_KEY: _, ...some } = given
  const loaded = loadWith(some)
  expect(loaded).toMatchObject(some)
  expect(loaded['ENCRYPTION_KEY']).toBe(parseEnv(readFileSync(file, 'utf8'))['ENCRYPTION_KEY'])
})

test('in production no file is written', () => {
  const loaded = loadWith({ NODE_ENV: 'production' })
  for (const name of secrets) expect(loaded[name]).toBeUndefined()
  expect(existsSync(file)).toBe(false)
})

test('a link that leads nowhere is a .env too, and is left alone', () => {
  const target = join(projectRoot, 'not mounted yet')
  symlinkSync(target, file)
  loadWith({})
  expect(existsSync(target)).toBe(false)
  expect(readdirSync(projectRoot).toSorted()).toEqual(['.env', '.env.example'])
})

test('a .env that cannot be read stops the start', () => {
  mkdirSync(file)
  expect(() => loadWith({})).toThrow('EISDIR')
})
