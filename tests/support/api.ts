import { Writable } from 'node:stream'
import { afterAll, beforeAll } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/core/http/validation.ts'
import { createLogger } from '../../src/core/logging.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { createServices, type Services } from '../../src/wiring.ts'
import { freshDatabase, type DatabaseKind } from './databases.ts'
import { createDocumentCheck, type ApiDocument } from './document.ts'
import { settings } from './settings.ts'

export interface Reply {
  status: number
  headers: Headers
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read replies freely; the document check has looked at their form
  body: any
  text: string
}

export interface RequestOptions {
  body?: unknown
  token?: string
  headers?: Record<string, string>
}

export interface Account {
  email: string
  password: string
  access_token: string
  refresh_token: string
}

/** A whole application over a database of its own, on a real port. */
export class Api {
  app!: App
  database!: Database
  services!: Services
  address!: string
  /** Each log line, parsed. */
  readonly log: Record<string, unknown>[] = []
  #check!: ReturnType<typeof createDocumentCheck>
  #accounts = 0

  async start(kind: DatabaseKind, overrides: Record<string, string> = {}): Promise<void> {
    const config = settings({ DATABASE_URL: await freshDatabase(kind), ...overrides })
    const lines = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.log.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
        done()
      },
    })
    const log = await createLogger(config, lines)
    this.database = openDatabase(config)
    this.services = createServices(config, this.database, log)
    this.app = await createApp(config, this.services, log)
    this.address = await this.app.listen({ host: '127.0.0.1', port: 0 })
    const document = await fetch(`${this.address}/api/docs/openapi.json`)
    if (document.ok) this.#check = createDocumentCheck((await document.json()) as ApiDocument)
  }

  async stop(): Promise<void> {
    // Otherwise closing waits a second for the kept-alive connections of this test's own client.
    this.app.server.closeIdleConnections()
    await this.app.close()
    await this.database.close()
  }

  /** Sends a request; the reply has been checked against the OpenAPI document. */
  async request(method: string, path: string, { body, token, headers = {} }: RequestOptions = {}): Promise<Reply> {
    const response = await fetch(this.address + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && {
        body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
      }),
    })
    const text = await response.text()
    const type = response.headers.get('content-type') ?? ''
    const reply = {
      status: response.status,
      headers: response.headers,
      text,
      body: type.includes('ndjson') ? readLines(text) : type.includes('json') && text ? JSON.parse(text) : undefined,
    }
    if (method !== 'HEAD' && method !== 'OPTIONS' && !path.startsWith('/api/docs')) this.#check?.(method, path, reply)
    return reply
  }

  get = (path: string, options?: RequestOptions) => this.request('GET', path, options)
  post = (path: string, body?: unknown, options?: RequestOptions) => this.request('POST', path, { body, ...options })
  patch = (path: string, body?: unknown, options?: RequestOptions) => this.request('PATCH', path, { body, ...options })
  delete = (path: string, options?: RequestOptions) => this.request('DELETE', path, options)

  /** Registers an account of its own for a test. */
  async account(overrides: { email?: string; password?: string } = {}): Promise<Account> {
    const email = overrides.email ?? `person${++this.#accounts}@example.com`
    const password = overrides.password ?? 'correct horse battery'
    const { status, body } = await this.post('/api/v1/auth/register', {
      email,
      password,
      first_name: 'Ada',
      last_name: 'Lovelace',
    })
    if (status !== 201) throw new Error(`register answered ${status}`)
    return { email, password, ...body.data }
  }

  /** Gives an account a role, as an operator would. */
  async promote(email: string, role: 'moderator' | 'admin' | 'super_admin'): Promise<void> {
    await this.database.query().updateTable('users').set({ role }).where('email', '=', email).execute()
  }
}

/** Starts an application before the tests of a `describe` block and stops it after them. */
export function useApi(kind: DatabaseKind, overrides?: Record<string, string>): Api {
  const api = new Api()
  beforeAll(() => api.start(kind, overrides))
  afterAll(() => api.stop())
  return api
}

/** Each line of NDJSON ends. */
const readLines = (text: string) =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown)
