import fc from 'fast-check'
import { sql } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fold } from '../../src/core/fold.ts'
import {
  createItemListRepository,
  type ItemFilter,
  type ItemListRepository,
} from '../../src/repositories/item-list.repository.ts'
import { createItemRepository, type ItemRepository } from '../../src/repositories/item.repository.ts'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import { insertItems } from '../support/items.ts'

interface Texts {
  name: string
  description: string | null
}

/** What a search has to find, without any index. */
const contains = ({ name, description }: Texts, part: string) =>
  [name, description ?? ''].some((text) => fold(text).includes(fold(part)))

/** Letters that databases, indexes, patterns and letter case may stumble over. */
const nasty = [
  ...`aAbB12 '"*%_\\-()^+:;,.?<>|&/[]{}~`,
  ...'\t\n\u0001\u00ad\u200d\ufeff\ufffd\u{10ffff}éÉ\u0301яЯё中文字한🦊İIıißẞſsﬁﬃΣσςŉ\u212akΐǅ',
  'e\u0301',
  '👩‍👩‍👧',
  '🇩🇪',
  'AND',
  'NEAR',
  'name_folded:',
]

onEachDatabase((kind) => {
  const api = useApi(kind)
  let lists: ItemListRepository
  let items: ItemRepository
  beforeAll(() => {
    lists = createItemListRepository(api.database)
    items = createItemRepository(api.database)
  })
  const clear = () => api.database.query().deleteFrom('items').execute()
  beforeEach(clear)

  const search = async (part: string, filter: ItemFilter = {}) => {
    const { rows, total } = await lists.search(part, filter, { sort: 'created_at', limit: 100 }, true)
    expect(total).toBe(rows.length)
    return rows.map(({ name }) => name).toSorted()
  }

  describe('what contains a word is found, and nothing else', () => {
    const texts = [
      'plain · Explain PLAINLY · a · ab · abc · ab c · abcd · 50% · 5_0 · 500 · 123 · 1-2-3 · tab\there · zero\u200dwidth',
      String.raw`say "hello" · it's · " · "" · * · a*b*c · abc* · \ · \\ · C:\new\table · %_\ · (a) · {a} · ^a · -a · a+b`,
      'МОСКВА · москва · Мо · ёлка · 中文字 · 中文 · 日本語の文字 · 한국어 · 🦊 · 🦊🐻🐼 · x🦊y · a AND b · NOT a · name_folded:x',
      'café · cafe\u0301 · e\u0301 · İstanbul · ISTANBUL · ıstanbul · istanbul · Iı · Straße · STRASSE · ßß · ss · ﬃ · ffi · ﬁ',
      'oﬃce · ΟΔΟΣ · οδός · ŉ · ʼn · \u212aelvin · Ångström · ÅNGSTRÖM',
    ].flatMap((line) => line.split(' · '))
    const words = new Set([
      ...texts.flatMap((text) => [text, text.slice(0, 3), text.slice(-2), [...text].at(0)!, text.toUpperCase()]),
      ...'% · _ · %% · __ · ___ · %a · " OR " · "* · abc" OR "x · a_c · a%c ·     · ssss · nowhere · n"w'.split(' · '),
    ])

    test('of any length and script, in names and in descriptions', async () => {
      const rows = texts.map((text, index) =>
        index % 2 === 0 ? { name: text, description: null } : { name: `number ${index}`, description: `<${text}>` },
      )
      await insertItems(api.database, rows)
      for (const word of [...words].filter((each) => each.isWellFormed() && each !== '')) {
        const expected = rows.filter((row) => contains(row, word)).map(({ name }) => name)
        expect.soft(await search(word), JSON.stringify(word)).toEqual(expected.toSorted())
      }
    })

    test('whatever the texts', async () => {
      const text = (maxLength: number) => fc.string({ unit: fc.constantFrom(...nasty), minLength: 1, maxLength })
      const row = fc.record({ name: text(10), description: fc.option(text(10)) })
      await fc.assert(
        fc.asyncProperty(
          fc.array(row, { minLength: 1, maxLength: 6 }),
          text(4),
          fc.nat(),
          fc.nat(5),
          async (rows, word, at, length) => {
            await clear()
            await insertItems(api.database, rows)
            const { name } = rows[at % rows.length]!
            const part = [...name].slice(at % 4, (at % 4) + length + 1).join('')
            for (const sought of [word, part, name].filter((each) => each !== '')) {
              const expected = rows.filter((each) => contains(each, sought)).map((each) => each.name)
              expect(await search(sought)).toEqual(expected.toSorted())
            }
          },
        ),
        { numRuns: 200 },
      )
    })
  })

  describe('the index is kept in step', () => {
    const find = async (part: string) => (await search(part)).join()
    const run = (statement: ReturnType<typeof sql>) => statement.execute(api.database.query())

    test('when an item is added, changed, removed and restored', async () => {
      const { public_id } = await items.add({ name: 'Alphabet', description: null })
      expect(await find('PHAB')).toBe('Alphabet')
      await items.change(public_id, { name: 'Gamut' })
      expect([await find('alphabet'), await find('gamut')]).toEqual(['', 'Gamut'])
      await items.change(public_id, { description: 'of Colours' })
      expect([await find('gamut'), await find('colours')]).toEqual(['Gamut', 'Gamut'])
      await items.change(public_id, { description: null, status: 'archived' })
      expect([await find('gamut'), await find('colours')]).toEqual(['Gamut', ''])
      await items.remove(public_id)
      expect(await find('gamut')).toBe('')
      await items.restore(public_id)
      expect(await find('gamut')).toBe('Gamut')
    })

    test('when rows are changed and deleted by statements that know nothing of it', async () => {
      await insertItems(
        api.database,
        ['first', 'second', 'third'].map((name) => ({ name })),
      )
      await run(sql`update items set name = 'Fourth', name_folded = 'fourth' where name = 'first'`)
      expect([await find('first'), await find('fourth')]).toEqual(['', 'Fourth'])
      await run(sql`update items set id = id + 1000`)
      expect([await find('fourth'), await find('second'), await find('third')]).toEqual(['Fourth', 'second', 'third'])
      await run(sql`update items set deleted_at = '2026-01-01T00:00:00.000Z' where name = 'second'`)
      await run(sql`delete from items where name = 'third'`)
      expect([await find('fourth'), await find('second'), await find('third')]).toEqual(['Fourth', '', ''])
      await insertItems(api.database, [{ name: 'fifth' }])
      expect([await find('third'), await find('fifth')]).toEqual(['', 'fifth'])
    })

    test('when a transaction is taken back', async () => {
      const failing = api.database.transaction(async () => {
        await items.add({ name: 'unmade' })
        expect(await find('unmade')).toBe('unmade')
        throw new Error('not after all')
      })
      await expect(failing).rejects.toThrow('not after all')
      expect(await find('unmade')).toBe('')
    })
  })
})
