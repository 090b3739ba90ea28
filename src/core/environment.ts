import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { ConfigError, projectRoot } from './config.ts'
import { sampleSecret } from './setting-forms.ts'

const envFile = join(projectRoot, '.env')
export const secrets = ['SECRET_KEY', 'JWT_SECRET_KEY', 'ENCRYPTION_KEY']
/** What `.env` gets random values for: the secrets, and the password that compose.yaml gives its PostgreSQL. */
export const generatedSecrets = [...secrets, 'POSTGRES_PASSWORD']

/** Settings as they are given: by the real environment, and by the file `.env` where there is one. An empty variable is not given. */
export function readEnvironment() {
  const given = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value?.trim()))
  return { given, file: readEnvFile() }
}

/** An environment in which secrets that are missing are random ones: for what encrypts and signs nothing. */
export function withStandInSecrets(environment: NodeJS.Dict<string>): NodeJS.Dict<string> {
  const missing = secrets.filter((name) => !environment[name]?.trim())
  return { ...environment, ...Object.fromEntries(missing.map((name) => [name, newSecret(name)])) }
}

/**
 * Collects the settings: the real environment, and beneath it the file `.env`.
 *
 * On a first start in development, when neither names the secrets, `.env` is written from
 * `.env.example` with random ones. It is never written in production, nor over an existing file.
 */
export function loadEnvironment(): NodeJS.ProcessEnv {
  const { given, file } = readEnvironment()
  const isFirstStart =
    file === undefined && given['NODE_ENV'] !== 'production' && secrets.some((name) => given[name] === undefined)
  return { ...(isFirstStart ? createEnvFile() : file), ...given }
}

function readEnvFile(): NodeJS.Dict<string> | undefined {
  try {
    return parseEnv(readFileSync(envFile, 'utf8'))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new ConfigError([`.env cannot be read: ${message}`])
  }
}

function createEnvFile(): NodeJS.Dict<string> | undefined {
  const example = readFileSync(join(projectRoot, '.env.example'), 'utf8')
  const content = generatedSecrets.reduce(
    (text, name) => text.replace(`${name}=${sampleSecret}`, `${name}=${newSecret(name)}`),
    example,
  )
  // Written aside and then linked, which fails if `.env` exists: of two first starts at once one
  // wins whole, and no file of a user is ever overwritten.
  const draft = `${envFile}.${process.pid}.new`
  try {
    writeFileSync(draft, content, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    throw new ConfigError([`.env is not there, and cannot be written: ${(error as Error).message}`])
  }
  try {
    linkSync(draft, envFile)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(draft)
  }
  return readEnvFile()
}

/** A new random secret. A Fernet key is exactly 32 bytes in padded URL-safe base64; the other secrets are 48 random bytes. */
export function newSecret(name: string): string {
  return name === 'ENCRYPTION_KEY' ? `${randomBytes(32).toString('base64url')}=` : randomBytes(48).toString('base64url')
}
