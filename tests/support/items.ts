import type { Insertable } from 'kysely'
import type { Database } from '../../src/db/database.ts'
import type { Tables } from '../../src/models/index.ts'
import { createItemListRepository } from '../../src/repositories/item-list.repository.ts'
import { foldedTexts } from '../../src/repositories/item.repository.ts'

type Row = Omit<Insertable<Tables['items']>, 'name_folded' | 'description_folded'>

/** Adds items as they are given, with times and owners of any kind. */
export const insertItems = (database: Database, rows: Row[]) =>
  database
    .query()
    .insertInto('items')
    .values(rows.map((row) => ({ description: null, ...row, ...foldedTexts({ description: null, ...row }) })))
    .execute()

/** How many live items there are. */
export const countItems = (database: Database): Promise<number> => createItemListRepository(database).count({})
