import { test } from 'vitest'
import pg from 'pg'
import { createPasswords } from '../../src/core/security/passwords.ts'
import { openDatabase } from '../../src/db/database.ts'
import { seed } from '../../src/db/seed.ts'
import { freshDatabase } from '../support/databases.ts'
import { settings } from '../support/settings.ts'
const passwords = { ...createPasswords(settings()), hash: async () => 'x' }
const pools: any[] = []
const end = pg.Pool.prototype.end
pg.Pool.prototype.end = function (this: any, ...a: any[]) { pools.push(this); return (end as any).apply(this, a) } as any
test('x', { timeout: 300_000 }, async () => {
  const config = settings({ DATABASE_URL: await freshDatabase('postgresql') })
  const counts: Record<string, number> = {}
  for (let i = 0; i < 1000; i++) {
    const servers = [openDatabase(config), openDatabase(config), openDatabase(config)]
    const [database] = servers
    await database.query().deleteFrom('items').execute()
    await database.query().deleteFrom('users').execute()
    await Promise.all(servers.map((s) => s.ping()))
    pools.length = 0
    let third: any[] = []
    const r = await Promise.all(servers.map((database, j) => { const p = seed(database, passwords); p.then((x) => third.push([j, x]), (e) => third.push([j, e.message])); return p })).catch((e) => e.message)
    if (i % 2) {
    await database.query().deleteFrom('items').execute()
    await database.query().deleteFrom('users').where('email', '!=', 'user@example.com').execute()
    }
    const res = await Promise.race([Promise.all(servers.map((d, j) => d.close().then(() => j))).catch((e) => e.message), new Promise((r) => setTimeout(r, 3000, 'HANG'))])
    counts[`${r}/${res}`] = (counts[`${r}/${res}`] ?? 0) + 1
    if (res === 'HANG') { console.log('HANG', i, r, third);
      for (const p of pools) console.log({ total: p.totalCount, idle: p.idleCount, waiting: p.waitingCount, ending: p.ending, ended: p.ended, clients: p._clients.map((c: any) => ({ ending: c._ending, ended: c._ended, active: !!c._getActiveQuery?.(), q: c._getActiveQuery?.()?.text, queue: c._queryQueue?.length, ready: c.readyForQuery, conn: c._connected, destroyed: c.connection.stream.destroyed, queryable: c._queryable, readyState: c.connection.stream.readyState, use: c._poolUseCount })) })
      await new Promise((r) => setTimeout(r, 12000))
      console.log('later', third)
      for (const p of pools) console.log({ total: p.totalCount, ended: p.ended })
      break }
  }
  console.log(counts)
})
