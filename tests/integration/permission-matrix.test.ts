import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { useApi, type Account, type Reply } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { idOf, rowOf } from '../support/sessions.ts'
import { permissionMatrix } from './permission-matrix.ts'

const callers = ['anonymous', 'other', 'owner', 'moderator', 'admin', 'super_admin'] as const
type Caller = (typeof callers)[number]

/** A valid request on something made for it alone, so that its status tells who may, and nothing else. */
interface Call {
  params?: Record<string, string>
  query?: string
  body?: unknown
  /** Whose token is sent, where it is not that of the account every call of this caller shares. */
  account?: Account
  /** Reads from the database what the call is about. */
  subject?: () => Promise<unknown>
}

interface Operation {
  method: string
  path: string
  operationId: string
  parameters: { required: boolean }[]
  requestBody?: object
}

/** Lines of cells; two spaces or more stand between them. */
const [header, ...matrix] = permissionMatrix
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => line.split(/ {2,}/)) as [string[], ...[name: string, ...statuses: string[]][]]
const rows = matrix.map(([name]) => name)
const idIn = (row: string) => row.split(' ', 1)[0]!

const print = (lines: string[][]) =>
  lines
    .map(([name, ...cells]) => `${name!.padEnd(25)}${cells.map((cell) => cell.padEnd(14)).join('')}`.trimEnd())
    .join('\n')

onEachDatabase((kind) => {
  const api = useApi(kind)
  let operations: Operation[]
  let people: Record<Exclude<Caller, 'anonymous'>, Account>

  beforeAll(async () => {
    const { paths } = (await api.get('/api/docs/openapi.json')).body as {
      paths: Record<string, Record<string, Omit<Operation, 'method' | 'path'>>>
    }
    operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, ...operation })),
    )
    const [other, owner, moderator, admin, super_admin] = await Promise.all(callers.slice(1).map(accountFor))
    people = { other: other!, owner: owner!, moderator: moderator!, admin: admin!, super_admin: super_admin! }
  })

  async function accountFor(caller: Caller): Promise<Account> {
    const account = await api.account()
    if (caller === 'moderator' || caller === 'admin' || caller === 'super_admin')
      await api.promote(account.email, caller)
    return account
  }

  /** A call that may cost the account. */
  async function onOwnAccount(caller: Caller, body?: unknown): Promise<Call> {
    const account = await accountFor(caller)
    const user = api.database.query().selectFrom('users').selectAll().where('email', '=', account.email)
    const subject = async () => ({ user: await user.executeTakeFirst(), session: await rowOf(api, account) })
    return { account, body, subject }
  }

  async function ownersSession() {
    const { email, password } = people.owner
    const login = await api.post('/api/v1/auth/login', { email, password })
    expect(login.status, 'the owner signs in').toBe(200)
    const tokens = login.body.data as Account
    const subject = () => rowOf(api, tokens)
    return {
      byId: { params: { public_id: idOf(tokens) }, subject },
      byToken: { body: { refresh_token: tokens.refresh_token }, subject },
    }
  }

  async function ownersItem(): Promise<Call> {
    const item = await api.post('/api/v1/items', { name: "The owner's" }, { token: people.owner.access_token })
    expect(item.status, 'the owner makes an item').toBe(201)
    const { public_id } = item.body.data as { public_id: string }
    const row = api.database.query().selectFrom('items').selectAll().where('public_id', '=', public_id)
    return { params: { public_id }, subject: () => row.executeTakeFirst() }
  }

  async function nobodysItem(): Promise<Call> {
    const item = await ownersItem()
    const { public_id } = item.params!
    await api.database
      .query()
      .updateTable('items')
      .set({ owner_id: null })
      .where('public_id', '=', public_id!)
      .execute()
    return item
  }

  async function newItem(): Promise<Call> {
    const name = randomUUID()
    const made = api.database.query().selectFrom('items').selectAll().where('name', '=', name)
    return { body: { name }, subject: () => made.execute() }
  }

  const newPerson = () => ({
    email: `${randomUUID()}@example.com`,
    password: 'correct horse battery',
    first_name: 'Grace',
    last_name: 'Hopper',
  })
  const newPasswords = { old_password: 'correct horse battery', new_password: 'another horse battery' }
  const changes = { name: 'Changed' }

  /** How to call the rows that need more than a token. */
  const requests: Record<string, (caller: Caller) => Promise<Call>> = {
    register: async () => ({ body: newPerson() }),
    login: async () => ({ body: { email: people.owner.email, password: people.owner.password } }),
    refresh: async () => (await ownersSession()).byToken,
    logout: async () => (await ownersSession()).byToken,
    logoutAll: (caller) => onOwnAccount(caller),
    revokeSession: async () => (await ownersSession()).byId,
    updateProfile: (caller) => onOwnAccount(caller, { first_name: 'Grace' }),
    changePassword: (caller) => onOwnAccount(caller, newPasswords),
    deactivateAccount: (caller) => onOwnAccount(caller),
    searchItems: async () => ({ query: '?q=owner' }),
    createItem: newItem,
    getItem: ownersItem,
    'getItem (of nobody)': nobodysItem,
    updateItem: async () => ({ ...(await ownersItem()), body: changes }),
    'updateItem (of nobody)': async () => ({ ...(await nobodysItem()), body: changes }),
    deleteItem: ownersItem,
    'deleteItem (of nobody)': nobodysItem,
  }

  /**
   * The status, and beside it what is wrong all the same: a read or a refused call that `changed` its subject, a
   * refused one whose subject is `unseen` by this test, one that succeeded with `no effect`, a 404 unlike that of an
   * id which was never given, from which a client learns that the thing `exists`.
   */
  async function call(row: string, caller: Caller): Promise<string> {
    const operation = operations.find(({ operationId }) => operationId === idIn(row))
    if (!operation) return 'gone'
    const { method, path } = operation
    const { params = {}, query = '', body, account, subject } = (await requests[row]?.(caller)) ?? {}
    const token = caller === 'anonymous' ? undefined : (account ?? people[caller]).access_token
    const send = (values: Record<string, string>) =>
      api.request(method, path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name]!) + query, {
        ...(body !== undefined && { body }),
        ...(token !== undefined && { token }),
      })

    const before = await subject?.()
    const reply = await send(params)
    const { status } = reply
    const isChanged = !isDeepStrictEqual(await subject?.(), before)
    const isRefused = status >= 400
    if (isChanged && (isRefused || method === 'GET')) return `${status} changed`
    if (subject && !isChanged && !isRefused && method !== 'GET') return `${status} no effect`
    if (!subject && (status === 403 || status === 404)) return `${status} unseen`
    if (status === 404) {
      const unknown = Object.keys(params).map((name) => [name, randomUUID()])
      if (!isSame(reply, await send(Object.fromEntries(unknown)))) return '404 exists'
    }
    return String(status)
  }

  /** Whether two refusals tell the client the same. */
  const isSame = (...replies: [Reply, Reply]) => {
    const [one, other] = replies.map(({ status, body }) => ({ status, ...body, request_id: 0, timestamp: 0 }))
    return isDeepStrictEqual(one, other)
  }

  test('every operation has a row in the table, and every row an operation', () => {
    const known = operations.map(({ operationId }) => operationId)
    const without = known.filter((id) => !rows.map(idIn).includes(id))
    expect(without, 'operations without a row in permission-matrix.ts').toEqual([])
    const gone = rows.filter((row) => !known.includes(idIn(row)))
    expect(gone, 'rows in permission-matrix.ts whose operation is gone').toEqual([])
    const twice = rows.filter((row, index) => rows.indexOf(row) !== index)
    expect(twice, 'rows that are twice in permission-matrix.ts').toEqual([])
  })

  test('every row that needs more than a token has a valid request', () => {
    const needy = operations
      .filter(({ parameters, requestBody }) => requestBody || parameters.some(({ required }) => required))
      .map(({ operationId }) => operationId)
    const without = rows.filter((row) => needy.includes(idIn(row)) && !(row in requests))
    expect(without, 'rows to be given a request in permission-matrix.test.ts').toEqual([])
    const unused = Object.keys(requests).filter((row) => !rows.includes(row))
    expect(unused, 'requests in permission-matrix.test.ts of rows that are gone').toEqual([])
  })

  test('each caller is allowed and refused what the table says (ASVS 8.2.1, 8.2.2)', async () => {
    const answers: string[][] = []
    for (const row of rows) answers.push([row, ...(await Promise.all(callers.map((caller) => call(row, caller))))])
    expect(print([['operation', ...callers], ...answers])).toBe(print([header, ...matrix]))
  })
})
