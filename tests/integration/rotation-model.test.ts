import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { useApi } from '../support/api.ts'
import { onEachDatabase } from '../support/databases.ts'
import {
  chase,
  createWorld,
  honestSteps,
  httpWire,
  Ledger,
  lonelySteps,
  lonelyThefts,
  policy,
  preparations,
  servicesWire,
  steps,
  theftSteps,
  times,
  type Deed,
  type Family,
  type World,
} from './rotation-model.ts'

const nameIn = (table: object) => fc.constantFrom(...Object.keys(table))

const time = fc.oneof(
  { weight: 3, arbitrary: fc.constant('at once') },
  { weight: 4, arbitrary: fc.constantFrom('6 seconds later', '12 seconds later') },
  { weight: 4, arbitrary: nameIn(times) },
)

const anyStep = fc.oneof(
  { weight: 3, arbitrary: nameIn(honestSteps) },
  { weight: 5, arbitrary: nameIn(lonelySteps) },
  { weight: 4, arbitrary: nameIn({ ...theftSteps, ...lonelyThefts }) },
)

/** Steps one after the other. */
const story = fc.array(fc.tuple(time, anyStep), { maxLength: 20, size: 'max' })

const many = fc.array(nameIn({ ...honestSteps, ...theftSteps }), { minLength: 2, maxLength: 8, size: 'max' })

/** Many steps at once, and some before them that lead to something new. */
const rounds = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.tuple(time, many) },
    { weight: 1, arbitrary: fc.tuple(time, fc.tuple(nameIn(preparations))) },
    { weight: 1, arbitrary: fc.tuple(time, fc.tuple(anyStep)) },
  ),
  { maxLength: 8, size: 'max' },
)

/** A family after some steps, as all who used it see it together. */
type Seen = Awaited<ReturnType<World['look']>>[number]
interface Sight extends Seen {
  family: Family
  /** What was done with it before these steps, and in them. */
  before: Deed[]
  deeds: Deed[]
  /** Before these steps no token of it was good for anything. */
  hadEnded: boolean
}

const isRefresh = ({ does }: Deed) => does === 'refresh'
const wasServed = ({ answer }: Deed) => answer !== undefined

/** Whether a refresh comes too late for a retry, judged by what was done with its successor. */
function isOutdated({ gen, at }: Deed, before: Deed[]): boolean {
  const served = before.filter(wasServed)
  const rotation = served.find((deed) => isRefresh(deed) && deed.gen === gen)
  const uses = served.filter((deed) => deed.gen === gen + 1)
  return uses.some(isRefresh) || (uses.length > 0 && rotation !== undefined && at - rotation.at > policy.leeway)
}

/** When the family was last rotated. A retry is no rotation: it gets the same answer again. */
function renewedAt(before: Deed[]): number {
  const served = before.filter((deed) => isRefresh(deed) && wasServed(deed))
  const newest = Math.max(...served.map(({ gen }) => gen))
  return served.find(({ gen }) => gen === newest)?.at ?? 0
}

/**
 * What holds for each family, however the steps of a round came to be ordered.
 *
 * A thief is caught when an outdated token comes, from whomever: not before the owner and the thief have
 * both used what they have. Until then, within the leeway or while nobody has used the successor, both
 * are answered the same one; that much a leeway costs.
 */
const invariants: Record<string, (sight: Sight) => boolean> = {
  'an honest client is served, unless a thief used the family or it is too old or too long idle': (sight) => {
    const { family, before, deeds } = sight
    const isStolen = [...before, ...deeds].some(({ by }) => by !== family.owner)
    const isInTime = ({ at }: Deed) => at < policy.life && at - renewedAt(before) < policy.idle
    return isStolen || deeds.filter(isInTime).every(wasServed)
  },
  'an outdated token is refused, and ends the family': ({ before, deeds, isAlive }) => {
    const outdated = deeds.filter((deed) => isRefresh(deed) && isOutdated(deed, before))
    return outdated.length === 0 || (!isAlive && !outdated.some(wasServed))
  },
  'a refresh is answered with the next generation, and makes no other': ({ before, deeds, row }) => {
    const refreshes = [...before, ...deeds].filter(isRefresh)
    const isNext = ({ gen, answer = gen + 1 }: Deed) => answer === gen + 1
    return refreshes.every(isNext) && row.gen <= Math.max(0, ...refreshes.map(({ gen }) => gen + 1))
  },
  'a generation has one refresh token': ({ family: { pairs } }) =>
    new Set(pairs.map(({ refresh_token }) => refresh_token)).size === new Set(pairs.map(({ gen }) => gen)).size,
  'the access tokens of a family live and die together': ({ isAccepted }) => new Set(isAccepted).size === 1,
  'what ended stays ended': ({ hadEnded, deeds, isAlive }) => !hadEnded || !(isAlive || deeds.some(wasServed)),
  'a revocation is one event, and nothing else is': ({ row, thefts }) => thefts === (row.is_revoked ? 1 : 0),
}

/** Takes steps, all at once, after a while, and looks whether the invariants hold after them. */
function createWatch(world: World) {
  const ended = new Set<Family>()
  return async (when: string, ...names: string[]): Promise<Sight[]> => {
    const known = world.families.map(({ deeds }) => deeds.length)
    await world.wait(times[when]!)
    await Promise.all(names.map((name) => steps[name]!(world)))
    const looks = await world.look()
    const sights = world.families.map((family, index) => ({
      ...looks[index]!,
      family,
      before: family.deeds.slice(0, known[index]),
      deeds: family.deeds.slice(known[index]),
      hadEnded: ended.has(family),
    }))
    for (const sight of sights) {
      const broken = Object.keys(invariants).filter((name) => !invariants[name]!(sight))
      expect({ [sight.family.owner]: broken }).toEqual({ [sight.family.owner]: [] })
      if (!sight.isAlive) ended.add(sight.family)
    }
    return sights
  }
}

/** Those who stole, and whose theft did not come out even though they and the owner went on. */
async function thievesAtLarge(world: World, watch: ReturnType<typeof createWatch>): Promise<string[]> {
  const isRobbedAlive = async () => (await world.look())[0]!.isAlive
  for (const name of world.loots.keys()) {
    if (!(await isRobbedAlive())) return []
    for (const visit of chase(name)) await watch('15 minutes later', visit)
    if (await isRobbedAlive()) return [name]
  }
  return []
}

/** Checks many histories. On a busy machine fewer will do: after six seconds none is begun. */
function checkMany<Told>(histories: fc.Arbitrary<Told>, numRuns: number, check: (told: Told) => Promise<void>) {
  const end = performance.now() + 6000
  const property = fc.asyncProperty(histories, async (told) => {
    if (performance.now() < end) await check(told)
  })
  return fc.assert(property, { numRuns })
}

onEachDatabase((kind) => {
  const api = useApi(kind)
  let user: { id: number; public_id: string }
  beforeAll(async () => {
    const { email } = await api.account()
    const users = api.database.query().selectFrom('users').where('email', '=', email)
    user = await users.select(['id', 'public_id']).executeTakeFirstOrThrow()
  })

  describe('whatever clients, thieves and clocks do, rotation', () => {
    test('does what the policy says, step by step', () =>
      checkMany(story, 40, async (told) => {
        const world = await createWorld(api, user, servicesWire(api))
        const watch = createWatch(world)
        const ledgers = new Map(world.families.map((family) => [family, new Ledger()]))
        for (const [when, step] of told) {
          for (const { family, deeds, row, isAlive } of await watch(when, step)) {
            const ledger = ledgers.get(family)!
            const promised = deeds.map(({ does, gen, at }) => ledger[does](gen, at))
            const answers = deeds.map(({ answer }) => answer)
            expect({ [family.owner]: { answers, row, isAlive } }).toEqual({
              [family.owner]: { answers: promised, row: ledger.row, isAlive: ledger.isLive(world.now()) },
            })
          }
        }
        expect(await thievesAtLarge(world, watch)).toEqual([])
        expect(await world.isAnyEndedAccepted()).toBe(false)
      }))

    test('logs no honest client out, lets no thief go and forks no family, when much happens at once', () =>
      checkMany(rounds, 15, async (told) => {
        const world = await createWorld(api, user, httpWire(api))
        const watch = createWatch(world)
        for (const [when, atOnce] of told) await watch(when, ...atOnce)
        expect(await thievesAtLarge(world, watch)).toEqual([])
        expect(await world.isAnyEndedAccepted()).toBe(false)
      }))
  })
})
