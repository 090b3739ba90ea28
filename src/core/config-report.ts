import type { z } from 'zod'
import { ConfigError, readConfig } from './config.ts'
import { generatedSecrets } from './environment.ts'
import { settings } from './settings.ts'

/** What compose.yaml reads from `.env` beside the settings. */
const composeSettings = ['PUBLISH', 'APP_IMAGE', 'NODE_IMAGE', 'POSTGRES_IMAGE', 'REDIS_IMAGE', 'PROXY_IMAGE']

interface Given {
  /** By the real environment. */
  given: NodeJS.Dict<string>
  /** By the file `.env`. */
  file: NodeJS.Dict<string> | undefined
}

/**
 * What the settings are and where each comes from, faulty ones too. No secret is in it, and no value that
 * was refused: it may be a secret that landed under the wrong name.
 * @returns `unknown`: names in `.env` that are no settings, misspelt ones for instance
 */
export function reportConfig({ given, file = {} }: Given) {
  const environment = { ...file, ...given }
  const known = [...Object.keys(settings), ...generatedSecrets, ...composeSettings]
  return {
    settings: Object.entries(settings).map(([name, schema]) => ({
      name,
      value: shown(name, schema, environment[name]?.trim() || undefined),
      source: given[name] === undefined ? (file[name]?.trim() ? '.env' : 'default') : 'environment',
    })),
    faults: faultsOf(environment),
    unknown: Object.keys(file).filter((name) => !known.includes(name)),
  }
}

function faultsOf(environment: NodeJS.ProcessEnv): string[] {
  try {
    readConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

/** By the name, so that a secret that somebody adds is hidden without being marked. */
const secretName = /SECRET|KEY|PASSWORD|TOKEN|CREDENTIAL/

function shown(name: string, schema: z.ZodType, given: string | undefined): string {
  const { success, data } = schema.safeParse(given)
  if (!success) return given === undefined ? '(not set)' : '(refused)'
  if (data === undefined) return ''
  const value = data as string | number | boolean | string[]
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (value.length === 0) return ''
  if (secretName.test(name)) return Array.isArray(value) ? `(${value.length} hidden)` : '(hidden)'
  return [value].flat().map(withoutPassword).join(',')
}

/** A URL without the passwords in it; nothing of one that has an @ where no URL has its password. */
export function withoutPassword(text: string): string {
  if (!URL.canParse(text)) return /:\/\/.*@/.test(text) ? '(hidden)' : text
  const url = new URL(text)
  // An unescaped / ? or # in a password ends the address before it.
  if (url.host !== '' && `${url.pathname}${url.search}${url.hash}`.includes('@')) return '(hidden)'
  const passwords = [...url.searchParams.keys()].filter((name) => /pass|pwd|secret|key|token|options/i.test(name))
  if (url.password === '' && passwords.length === 0) return text
  if (url.password !== '') url.password = 'hidden'
  for (const name of passwords) url.searchParams.set(name, 'hidden')
  return url.href
}
