import { openDatabase } from '../../../src/db/database.ts'
import { settings } from '../../support/settings.ts'

/** Which of the names the items in the database have: each as often as it is there. */
async function itemNames(databaseUrl: string): Promise<string[]> {
  const database = openDatabase(settings({ DATABASE_URL: databaseUrl }))
  try {
    const rows = await database.query().selectFrom('items').select('name').execute()
    return rows.map(({ name }) => name)
  } finally {
    await database.close()
  }
}

/** What is wrong with the items in a database: acknowledged ones that are not there, and any that are there twice. */
export async function lostAndDoubled(databaseUrl: string, acknowledged: string[]) {
  const names = await itemNames(databaseUrl)
  const there = new Set(names)
  return {
    lost: acknowledged.filter((name) => !there.has(name)),
    doubled: names.length - there.size,
    found: names.length,
  }
}
