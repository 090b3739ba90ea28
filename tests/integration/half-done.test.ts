import fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Config } from '../../src/core/config.ts'
import { createLogger } from '../../src/core/logging.ts'
import { createPasswords, type Passwords } from '../../src/core/security/passwords.ts'
import type * as passwords from '../../src/core/security/passwords.ts'
import { openDatabase, type Database } from '../../src/db/database.ts'
import { createServices, type Services } from '../../src/wiring.ts'
import { freshDatabase, onEachDatabase } from '../support/databases.ts'
import { isInjected, useFailures, withFailures, type Failure, type Plan } from '../support/failures.ts'
import { settings } from '../support/settings.ts'
import { createHistory, deeds, readers } from './half-done-history.ts'
import { contentOf, difference, functionsOf, lastEvent, makeWorld, operations, person } from './half-done.ts'

vi.mock('../../src/core/security/passwords.ts', async (original) => {
  const real = await original<typeof passwords>()
  const { breakPasswords } = await import('../support/failures.ts')
  return { createPasswords: (config: Config) => breakPasswords(real.createPasswords(config)) }
})

/** Throttling is on, and stops nobody here. */
const unthrottled = {
  RATE_LIMIT_ENABLED: 'true',
  LOGIN_MAX_FAILURES: '100',
  ADDRESS_MAX_FAILURES: '100000',
  REGISTER_MAX_PER_HOUR: '100000',
}

const failures: Failure[] = [
  { kind: 'bug', when: 'before' },
  { kind: 'away', when: 'before' },
  { kind: 'conflict', when: 'before' },
  { kind: 'away', when: 'after' },
]

/** A purge is many small steps, on purpose: each is whole. Who is known is served, confirmed or not. */
const isStepwise = (name: string) => name.startsWith('purge.') || name === 'sessions.authenticate'
const [stepwise, atomic] = [true, false].map((wanted) =>
  Object.keys(operations).filter((name) => isStepwise(name) === wanted),
) as [string[], string[]]

const chapter = fc.record({
  deed: fc.constantFrom(...Object.keys(deeds)),
  who: fc.nat(3),
  which: fc.nat(3),
  failing: fc.array(
    fc.tuple(fc.nat(9), fc.constantFrom(...failures)).map(([step, failure]) => ({ step, ...failure })),
    { maxLength: 2 },
  ),
})

/** What writes more than counts of attempts. */
const isWrite = (step: string) =>
  /^(?:insert into|update|delete from) "(?:users|sessions|items|audit_events)"/.test(step)

onEachDatabase((kind) => {
  useFailures()
  let database: Database
  let services: Services
  let passwordsOf: Passwords
  let hashes: { present: string; outdated: string }
  let told: string[] = []

  beforeAll(async () => {
    const config = settings({ ...unthrottled, DATABASE_URL: await freshDatabase(kind) })
    database = openDatabase(config)
    const log = await createLogger(config, {
      write: (line) => void told.push((JSON.parse(line) as { event: string }).event),
    })
    services = createServices(config, database, log)
    passwordsOf = createPasswords(config)
    hashes = {
      present: await passwordsOf.hash(person.password),
      outdated: await createPasswords(settings({ ARGON2_TIME_COST: '3' })).hash(person.password),
    }
  })
  afterAll(() => database.close())

  /** Does an operation in a new world. Gives its outcome, what it changed, and what it told. */
  async function attempt(name: string, failing = Infinity, failure?: Failure) {
    const world = await database.transaction(() => makeWorld(database, hashes))
    // The newest is there to be purged.
    const since = (await lastEvent(database)) - 1
    const before = await contentOf(database, since)
    const act = async (plan: Plan) => {
      told = []
      const failed = await withFailures(plan, async () => operations[name]!(services, world))
      const { status } = failed.result
      const error = status === 'rejected' ? (failed.result.reason as Error) : undefined
      const changed = difference(before, await contentOf(database, since))
      return { steps: failed.steps, error, outcome: error ? `${error.name}: ${error.message}` : 'done', changed, told }
    }
    const found = await act((step) => (step === failing ? failure : undefined))
    return { ...found, again: () => act(() => undefined) }
  }

  describe('whatever fails while it is done,', () => {
    test('every function of every service is tried', () => {
      const tried = new Set(Object.keys(operations).map((name) => name.split(',', 1)[0]!))
      expect([...tried].toSorted()).toEqual(functionsOf(services).toSorted())
    })

    test.for(atomic)('%s is done or not, and never half', async (name) => {
      const whole = await attempt(name)
      const begin = whole.steps.findIndex((step) => step.startsWith('begin'))
      const isTransaction = begin >= 0
      // With it all is done: with the commit, or with the one statement that writes.
      const decisive = isTransaction ? whole.steps.indexOf('commit') : whole.steps.findIndex(isWrite)
      for (const [step, text] of whole.steps.entries())
        for (const failure of failures) {
          const { again, error, outcome, changed, told: lines } = await attempt(name, step, failure)
          const what = `${failure.kind} ${failure.when} ${text}`
          const isServed = outcome === whole.outcome
          const isOver = step > decisive || (step === decisive && failure.when === 'after')
          const mustServe = isTransaction && failure.kind === 'conflict' && step > begin && step <= decisive
          // A refusal, which is no change, is told of before it is written.
          const isToldBefore = !isTransaction && !isServed
          expect({ what, changed, lines, isServed, isExplained: isServed || isInjected(error) }).toEqual({
            what,
            changed: isServed || isOver ? whole.changed : [],
            lines: isToldBefore ? lines : isServed || step > decisive ? whole.told : [],
            isServed: isServed || mustServe,
            isExplained: true,
          })
          const later = isServed || isOver ? whole : await again()
          expect({ what, ...later }).toMatchObject({ changed: whole.changed, outcome: whole.outcome })
        }
      const counts = await database.query().selectFrom('throttles').select('attempts').execute()
      expect(counts.filter(({ attempts }) => attempts < 0)).toEqual([])
    })

    test.for(stepwise)('%s leaves nothing half, and the next time does the rest', async (name) => {
      const whole = await attempt(name)
      for (const [step] of whole.steps.entries())
        for (const failure of failures) {
          const { changed, again, error } = await attempt(name, step, failure)
          expect(whole.changed).toEqual(expect.arrayContaining(changed))
          expect(error === undefined || isInjected(error)).toBe(true)
          // Whose turn it is may be known to the database alone: then the next time is in an hour.
          const later = failure.when === 'after' && step === 0 ? whole : await again()
          expect(later.changed).toEqual(whole.changed)
        }
    })

    test('every function is in the histories, or only reads', () => {
      const inHistories = Object.keys(deeds).map((name) => name.split(',', 1)[0]!)
      expect([...new Set([...inHistories, ...readers])].toSorted()).toEqual(functionsOf(services).toSorted())
    })

    test('a history of many of them stays whole', async () => {
      const end = performance.now() + 6000
      const property = fc.asyncProperty(fc.array(chapter, { maxLength: 25, size: 'max' }), async (chapters) => {
        // On a busy machine fewer will do.
        if (performance.now() > end) return
        await database.transaction(() => makeWorld(database, hashes))
        // A shut account has no live session, but for tests of one.
        await database.query().updateTable('users').set({ is_active: true }).execute()
        const act = await createHistory(database, services, passwordsOf)
        for (const { deed, who, which, failing } of chapters)
          await act(deed, who, which, (step) => failing.find((failure) => failure.step === step))
      })
      await expect(fc.assert(property, { numRuns: 100 })).resolves.toBeUndefined()
    })

    test.skipIf(kind === 'sqlite')('no connection keeps a transaction open', async () => {
      const open = sql`select pid from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`
      expect((await open.execute(database.query())).rows).toEqual([])
    })
  })
})
