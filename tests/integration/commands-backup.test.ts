import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { backup as copyDatabase } from '../../src/db/sqlite-backup.ts'
import { createItemListRepository } from '../../src/repositories/item-list.repository.ts'
import { useCommands } from '../support/commands.ts'
import { insertItems } from '../support/items.ts'
import { environment } from '../support/settings.ts'

const { api, app, given, project } = useCommands('sqlite')
const names = async () => {
  const rows = await api.database.query().selectFrom('items').select('name').orderBy('id').execute()
  return rows.map(({ name }) => name)
}
const folder = (name: string): string => {
  const path = project.path(name)
  mkdirSync(path)
  return path
}

/** Writes a row every millisecond or so, in a thread of its own, until it is told to stop. */
async function busyWriter() {
  const file = given['DATABASE_URL']!.slice('sqlite:///'.length)
  const worker = new Worker(
    `const { DatabaseSync } = require('node:sqlite')
     const { parentPort } = require('node:worker_threads')
     const database = new DatabaseSync(${JSON.stringify(file)}, { timeout: 30000 })
     const add = database.prepare("insert into items (name, name_folded) values ('written meanwhile', 'written meanwhile')")
     const timer = setInterval(() => { add.run(); parentPort.postMessage('wrote') }, 1)
     parentPort.on('message', () => { clearInterval(timer); database.close(); parentPort.close() })`,
    { eval: true },
  )
  await once(worker, 'message')
  return async () => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
    worker.postMessage('stop')
    await once(worker, 'exit')
  }
}

test('a backup while others write is whole, and a restore brings it back under a running server', async () => {
  const { email, password, access_token: token } = await api.account()
  // Large enough for several steps of copying.
  const rows = Array.from({ length: 300 }, (_, at) => ({ name: `item ${at}`, description: 'x'.repeat(30_000) }))
  for (let at = 0; at < rows.length; at += 100) await insertItems(api.database, rows.slice(at, at + 100))
  const backups = folder('backups')
  const file = join(backups, "it's a backup.db")

  const stop = await busyWriter()
  expect(await app(['db', 'backup', file])).toMatchObject({ code: 0, stderr: '' })
  await stop()
  expect(readdirSync(backups)).toEqual(["it's a backup.db"])
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const copy = new DatabaseSync(file, { readOnly: true })
  expect(copy.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
  expect(copy.prepare('pragma journal_mode').all()).toEqual([{ journal_mode: 'delete' }])
  const then = copy
    .prepare('select name from items order by id')
    .all()
    .map(({ name }) => name)
  copy.close()
  expect(then.length).toBeGreaterThanOrEqual(300)

  // A second one of this name is refused, and the first is as it was.
  const bytes = readFileSync(file)
  const again = await app(['db', 'backup', file])
  expect(again).toMatchObject({ code: 1, output: `There is a ${file} already: name another file\n` })
  expect(readFileSync(file).equals(bytes)).toBe(true)

  await api.database.query().deleteFrom('items').where('name', 'like', 'item 1%').execute()
  await api.post('/api/v1/users/me/deactivate', { password }, { token })
  await api.database.query().updateTable('users').set({ first_name: 'Changed' }).execute()
  const unasked = await app(['db', 'restore', file])
  expect(unasked).toMatchObject({ code: 2, output: 'Add --yes: there is no terminal to ask at\n' })
  const stopAgain = await busyWriter()
  const restored = await app(['db', 'restore', file, '--yes'])
  await stopAgain()
  expect(restored).toMatchObject({ code: 0, output: `${given['DATABASE_URL']} is as it was in ${file}.\n` })
  // The server never stopped, and the writer may have gone on afterwards.
  expect((await names()).slice(0, then.length)).toEqual(then)
  // The search index is as it was as well.
  const lists = createItemListRepository(api.database)
  expect(await lists.search('item 123', {}, { sort: 'name', limit: 2 }, true)).toMatchObject({ total: 1 })
  const me = await api.get('/api/v1/users/me', { token })
  expect(me.body.data).toMatchObject({ email, first_name: 'Ada' })
  expect((await api.post('/api/v1/items', { name: 'and it writes' }, { token })).status).toBe(201)
})

test('a backup ends although every step of it is followed by a write', async () => {
  const file = given['DATABASE_URL']!.slice('sqlite:///'.length)
  const writer = new DatabaseSync(file, { timeout: 30_000 })
  const add = writer.prepare("insert into items (name, name_folded) values ('written meanwhile', 'written meanwhile')")
  const progress = { isDone: false }
  const copied = copyDatabase(file, join(folder('steady'), 'a.db')).finally(() => {
    progress.isDone = true
  })
  const most = 3000
  let writes = 0
  for (; !progress.isDone && writes < most; writes++) {
    add.run()
    await setImmediate()
  }
  writer.close()
  await copied
  expect(writes).toBeLessThan(most)
})

test('a restore waits for who is writing', async () => {
  const file = join(folder('waits'), 'backup.db')
  expect((await app(['db', 'backup', file])).code).toBe(0)
  const writer = new DatabaseSync(given['DATABASE_URL']!.slice('sqlite:///'.length), { timeout: 30_000 })
  writer.exec("begin immediate; insert into items (name, name_folded) values ('too late', 'too late')")
  const restored = app(['db', 'restore', file, '--yes'])
  // Long enough for it to have met the lock, on most machines; on others this tests less.
  await sleep(1500)
  writer.exec('commit')
  writer.close()
  expect(await restored).toMatchObject({ code: 0 })
  expect(await names()).not.toContain('too late')
})

test('what is no backup changes nothing', async () => {
  const before = await names()
  const files = folder('no-backups')
  const good = join(files, 'good.db')
  expect((await app(['db', 'backup', good])).code).toBe(0)
  const damaged = join(files, 'damaged.db')
  copyFileSync(good, damaged)
  const bytes = readFileSync(damaged)
  bytes.fill(0xff, 4096, 20_000)
  writeFileSync(damaged, bytes)
  const foreign = join(files, 'foreign.db')
  const other = new DatabaseSync(foreign)
  other.exec('create table things (id integer)')
  other.close()
  const namesake = join(files, 'namesake.db')
  const another = new DatabaseSync(namesake)
  another.exec("create table migrations (name text); insert into migrations values ('0001_of_something_else')")
  another.close()
  const text = join(files, 'text.db')
  writeFileSync(text, 'no database\n'.repeat(1000))
  const empty = join(files, 'empty.db')
  writeFileSync(empty, '')
  const missing = join(files, 'missing.db')

  const tried = [damaged, foreign, namesake, text, empty, missing]
  const told = await Promise.all(tried.map((file) => app(['db', 'restore', file, '--yes'])))
  expect(told.map(({ code, output }) => [code, output])).toEqual([
    [1, expect.stringMatching(/^\S+damaged\.db is .*\n$/)],
    [1, `${foreign} is no backup of this service: no such table: migrations\n`],
    [1, `${namesake} is no backup of this service\n`],
    [1, `${text} is no backup of this service: file is not a database\n`],
    [1, `${empty} is no backup of this service: no such table: migrations\n`],
    [1, `There is no file ${missing}\n`],
  ])
  expect(existsSync(missing)).toBe(false)
  expect(await names()).toEqual(before)
})

test('a backup that cannot be written leaves nothing behind', async () => {
  const folderOfIts = folder('kept-empty')
  const [noFolder, folderItself] = await Promise.all([
    app(['db', 'backup', join(folderOfIts, 'no', 'such.db')]),
    app(['db', 'backup', folderOfIts]),
  ])
  expect(noFolder).toMatchObject({ code: 1, output: expect.stringMatching(/^\S+such\.db cannot be written: .*\n$/) })
  expect(folderItself).toMatchObject({ code: 1, output: `There is a ${folderOfIts} already: name another file\n` })
  expect(readdirSync(folderOfIts)).toEqual([])
})

test('a database in memory, or none, is neither backed up nor restored', async () => {
  const other = project
  const memory = { ...environment, DATABASE_URL: 'sqlite:///:memory:' }
  const none = { ...environment, DATABASE_URL: 'sqlite:///none.db' }
  const [backup, restore, away, missing] = await Promise.all([
    other.app(['db', 'backup', 'a.db'], memory),
    other.app(['db', 'restore', 'package.json', '--yes'], memory),
    other.app(['db', 'backup', 'b.db'], { ...environment, DATABASE_URL: 'sqlite:////no-such-folder/app.db' }),
    other.app(['db', 'backup', 'c.db'], none),
  ])
  expect(backup).toMatchObject({ code: 1, output: expect.stringMatching(/^.+\n$/) })
  expect(restore).toMatchObject({ code: 1, output: 'A database in memory cannot be restored\n' })
  expect(away).toMatchObject({ code: 1, output: 'There is no database at /no-such-folder/app.db\n' })
  expect(missing).toMatchObject({ code: 1, output: `There is no database at ${other.path('none.db')}\n` })
  expect(readdirSync(other.folder).filter((name) => name.includes('.db'))).toEqual([])
})

test('a backup that is interrupted leaves nothing behind', async () => {
  const inside = folder('interrupted')
  const program = project.run([
    process.execPath,
    '--input-type=module',
    '--eval',
    `import { writeWhole } from './src/db/backup.ts'
     await writeWhole('interrupted/a.db', async () => {
       console.log('begun')
       await new Promise((resolve) => setTimeout(resolve, 60_000))
     })`,
  ])
  await program.seen(/begun/)
  expect(readdirSync(inside)).toHaveLength(1)
  program.kill('SIGINT')
  // Null: the signal ended it, as a shell expects.
  expect(await program.ended).toBe(null)
  expect(readdirSync(inside)).toEqual([])
})
