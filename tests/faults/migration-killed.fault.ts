import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { openDatabase } from '../../src/db/database.ts'
import { tableNames } from '../../src/db/migrations.ts'
import { freshDatabase, type DatabaseKind } from '../support/databases.ts'
import type { Project } from '../support/process.ts'
import { environment, settings } from '../support/settings.ts'
import { fault } from './support/fault.ts'

const [kills, tables] = [15, 20]

/** A migration that takes a while: it makes tables, one after another, and fills them. */
function addLongMigration(project: Project, kind: DatabaseKind): void {
  const numbers = {
    sqlite: 'with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < 20000)',
    postgresql: 'with numbers as (select n from generate_series(1, 20000) as n)',
  }
  const statements = Array.from({ length: tables }, (_, index) => [
    `create table more_${index} (id integer primary key)`,
    `insert into more_${index} ${numbers[kind]} select n from numbers`,
  ]).flat()
  writeFileSync(
    join(project.path(`migrations/${kind}`), 'Migration29991231235959_more.ts'),
    `import { Migration } from '@mikro-orm/migrations'
     export class Migration29991231235959_more extends Migration {
       override up() { ${statements.map((statement) => `this.addSql(${JSON.stringify(statement)})`).join(';')} }
       override down() {}
     }`,
  )
}

/** How many of its tables there are. */
async function countTables(url: string): Promise<number> {
  const database = openDatabase(settings({ DATABASE_URL: url }))
  try {
    return (await tableNames(database)).filter((name) => name.startsWith('more_')).length
  } finally {
    await database.close()
  }
}

fault(
  'kill -9 in a migration, and several migrators at once',
  {
    promise: 'All of a migration is there or nothing; the next run does the rest, once, and each ends with 0',
    limit: 400,
  },
  async ({ kind, project }) => {
    addLongMigration(project, kind)
    const migrate = (url: string) => project.app(['db', 'upgrade'], { ...environment, DATABASE_URL: url })
    const begin = performance.now()
    const whole = await migrate(await freshDatabase(kind, true))
    const time = performance.now() - begin
    expect(whole.code).toBe(0)

    let [undone, done] = [0, 0]
    for (let kill = 0; kill < kills; kill++) {
      const url = await freshDatabase(kind, true)
      const migrator = project.run(
        [process.execPath, '--import', './tools/require-node.js', 'src/cli.ts', 'db', 'upgrade'],
        { ...environment, DATABASE_URL: url },
      )
      // Half of the time it only starts.
      await Promise.race([sleep(time * (0.4 + Math.random() * 0.6)), migrator.ended])
      migrator.kill('SIGKILL')
      await migrator.ended
      const found = await countTables(url)
      expect([0, tables]).toContain(found)
      if (found === 0) undone++
      else done++
      expect(await migrate(url)).toMatchObject({ code: 0 })
      expect(await countTables(url)).toBe(tables)
    }

    const migrations = readdirSync(project.path(`migrations/${kind}`)).filter((name) => name.endsWith('.ts')).length
    for (const migrators of [2, 5]) {
      const url = await freshDatabase(kind, true)
      const ends = await Promise.all(Array.from({ length: migrators }, () => migrate(url)))
      expect(ends.map(({ code }) => code)).toEqual(Array(migrators).fill(0))
      const applied = ends.flatMap(({ output }) => output.match(/Migration\d+\w+/g) ?? [])
      expect(applied).toHaveLength(migrations)
    }
    return {
      done: `killed ${kills} times at random moments; two and five at once`,
      seen: `${undone} times nothing was there, ${done} times everything; the next run completed each; of several at once one worked`,
    }
  },
)
