import { randomUUID } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { ConflictError, UnavailableError } from '../../src/core/errors.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { Api } from '../support/api.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { countItems } from '../support/items.ts'
import { settings } from '../support/settings.ts'

/** `Database.frame`: what commits together with the transaction that some work opens. */
onEachDatabase((kind) => {
  let url: string
  let database: Database
  beforeAll(async () => {
    url = await freshDatabase(kind)
    database = openDatabase(settings({ DATABASE_URL: url, DATABASE_POOL_SIZE: '1', DATABASE_TIMEOUT_SECONDS: '1' }))
    return () => database.close()
  })

  const add = (name: string) => database.query().insertInto('items').values({ name, name_folded: name }).execute()
  const names = async () => {
    const rows = await database.query().selectFrom('items').select('name').orderBy('id').execute()
    await database.query().deleteFrom('items').execute()
    return rows.map(({ name }) => name)
  }
  const frame = { begin: () => add('begin'), complete: () => add('complete'), abandon: () => add('abandon') }
  const fail = () => Promise.reject(new Error('on purpose'))

  test('work that opens a transaction, one for a single statement, and none has the frame around it', async () => {
    const works: (() => Promise<unknown>)[] = [
      () => database.transaction(() => add('work')),
      () => database.single(() => add('work')),
      async () => {},
    ]
    const written = []
    for (const work of works) {
      await database.frame(work, frame)
      written.push(await names())
    }
    expect(written).toEqual([
      ['begin', 'work', 'complete'],
      ['begin', 'work', 'complete'],
      ['begin', 'complete'],
    ])
  })

  test('statements behind the transaction join it, and what is told waits for its end', async () => {
    const told: string[] = []
    const result = await database.frame(
      async () => {
        database.afterCommit(() => told.push('before'))
        const tell = (name: string) => database.transaction(async () => database.afterCommit(() => told.push(name)))
        await database.transaction(() => tell('within'))
        await database.transaction(() => tell('second').then(() => add('second')))
        await add('behind')
        told.push('work')
        return 'result'
      },
      { ...frame, complete: async (given) => void told.push(`complete ${given}`) },
    )
    expect(result).toBe('result')
    expect(told).toEqual(['before', 'work', 'complete result', 'within', 'second'])
    expect(await names()).toEqual(['begin', 'second', 'behind'])
  })

  test('whatever fails in it undoes all of it, and the next one finds a connection', async () => {
    const attempts: (() => Promise<unknown>)[] = [
      () => database.frame(() => database.transaction(() => add('work')), { ...frame, begin: fail }),
      () => database.frame(() => database.transaction(() => add('work').then(fail)), frame),
      () => database.frame(() => database.transaction(() => add('work')), { ...frame, complete: fail }),
      () => database.frame(() => database.transaction(() => add('work')).then(fail), { ...frame, abandon: fail }),
    ]
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toThrow('on purpose')
      expect(await names()).toEqual([])
    }
  })

  test('work that fails behind its transaction leaves what that decided', async () => {
    await expect(database.frame(() => database.transaction(() => add('work')).then(fail), frame)).rejects.toThrow(
      'on purpose',
    )
    expect(await names()).toEqual(['begin', 'work', 'abandon'])
  })

  test('work that catches a failure of its transaction may open another', async () => {
    const told: string[] = []
    const first = async () => {
      database.afterCommit(() => told.push('first'))
      await add('first').then(fail)
    }
    await database.frame(async () => {
      await database.transaction(first).catch(() => add('beside'))
      await database.transaction(() => add('second'))
    }, frame)
    expect([told, await names()]).toEqual([[], ['beside', 'begin', 'second', 'complete']])
  })

  test('transactions that work opens at once are made one after another, and commit together', async () => {
    const both = () => Promise.all([database.transaction(() => add('one')), database.single(() => add('other'))])
    await database.frame(both, frame)
    expect(await names()).toEqual(['begin', 'one', 'other', 'complete'])
    const one = () =>
      Promise.all([database.transaction(() => add('one').then(fail)), database.single(() => add('other'))])
    await expect(database.frame(one, frame)).rejects.toThrow('on purpose')
    expect(await names()).toEqual(['begin', 'other', 'abandon'])
  })

  test('a transaction that fails behind another is undone alone, and its error is told', async () => {
    const told: string[] = []
    const user = { email: randomUUID(), password_hash: '', first_name: '', last_name: '' }
    const addUser = async () => {
      await add('work')
      database.afterCommit(() => told.push('added'))
      await database.query().insertInto('users').values(user).execute()
    }
    const twice = async () => {
      await database.transaction(addUser)
      await database.transaction(addUser)
    }
    await expect(database.frame(twice, frame)).rejects.toThrow(ConflictError)
    expect([told, await names()]).toEqual([['added'], ['begin', 'work', 'abandon']])
  })

  test('what work leaves behind when it has ended has transactions of its own', async () => {
    const ended = Promise.withResolvers<void>()
    let late: Promise<unknown> | undefined
    const work = async () => void (late = ended.promise.then(() => database.single(() => add('late'))))
    await database.frame(work, frame)
    ended.resolve()
    await late
    expect(await names()).toEqual(['begin', 'complete', 'late'])
  })

  test('a commit that fails is an error, and nothing is told', async () => {
    const told: string[] = []
    await sql`create table doomed (parent integer references users (id) deferrable initially deferred)`.execute(
      database.query(),
    )
    const work = () =>
      database.transaction(async () => {
        database.afterCommit(() => told.push('done'))
        await add('work')
        await sql`insert into doomed values (-1)`.execute(database.query())
      })
    await expect(database.frame(work, frame)).rejects.toThrow(/foreign key/i)
    expect([told, await names()]).toEqual([[], []])
  })

  test.runIf(kind === 'sqlite')('a transaction that cannot begin gives its connection back', async () => {
    const holder = new DatabaseSync(url.slice('sqlite:///'.length))
    holder.exec('begin immediate')
    await expect(database.frame(() => database.transaction(() => add('work')), frame)).rejects.toThrow(UnavailableError)
    holder.close()
    await database.frame(() => database.transaction(() => add('work')), frame)
    expect(await names()).toEqual(['begin', 'work', 'complete'])
  })

  describe('under an Idempotency-Key, with several servers on one database', () => {
    const servers = [new Api(), new Api()]
    beforeAll(async () => {
      for (const server of servers) await server.start(kind, { DATABASE_URL: url, OVERLOAD_DELAY_MS: '0' })
      return async () => void (await Promise.all(servers.map((server) => server.stop())))
    })

    test('of many at once one makes it', async () => {
      const { access_token: token } = await servers[0]!.account()
      for (let round = 0; round < 5; round++) {
        const before = await countItems(database)
        const headers = { 'idempotency-key': randomUUID() }
        const send = (index: number) => servers[index % 2]!.post('/api/v1/items', { name: 'Race' }, { token, headers })
        const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => send(index)))
        const made = answers.filter(({ status }) => status === 201)
        expect(new Set(made.map(({ body }) => body.data.public_id)).size).toBe(1)
        expect(answers.filter(({ status }) => status !== 201 && status !== 409)).toEqual([])
        expect(await countItems(database)).toBe(before + 1)
      }
    })

    test('of many registrations at once, which hash before they write, one is made', async () => {
      const headers = { 'idempotency-key': randomUUID() }
      const body = {
        email: `${randomUUID()}@example.com`,
        password: 'correct horse battery',
        first_name: 'Ada',
        last_name: 'Lovelace',
      }
      const send = (index: number) => servers[index % 2]!.post('/api/v1/auth/register', body, { headers })
      const answers = await Promise.all(Array.from({ length: 6 }, (_, index) => send(index)))
      const made = answers.filter(({ status }) => status === 201)
      expect(new Set(made.map(({ text }) => text)).size).toBe(1)
      // None is told that the e-mail is taken: it is its own.
      const codes = answers.filter(({ status }) => status !== 201).map((answer) => answer.body.code)
      expect(codes.filter((code) => code !== 'idempotency_key_in_use')).toEqual([])
    })
  })
})
