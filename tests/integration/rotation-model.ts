import { sql } from 'kysely'
import { expect } from 'vitest'
import { UnauthorizedError } from '../../src/core/errors.ts'
import { createAccessTokens } from '../../src/core/security/access-tokens.ts'
import { createRefreshTokens } from '../../src/core/security/refresh-tokens.ts'
import type { Api } from '../support/api.ts'
import { settings } from '../support/settings.ts'

const minute = 60
const hour = 60 * minute
const day = 24 * hour

/** What was promised, in seconds. Written here again, so that a wrong default is noticed. */
export const policy = { leeway: 10, idle: 14 * day, life: 30 * day }

/**
 * How far the clock moves. All are multiples of six seconds, and so are their sums: a token is 6 or 12
 * seconds old, never about 10, and the moments that the test itself takes decide nothing.
 */
export const times: Record<string, number> = {
  'at once': 0,
  '6 seconds later': 6,
  '12 seconds later': 12,
  '15 minutes later': 15 * minute,
  '6 hours later': 6 * hour,
  '5 days later': 5 * day,
  '13 days later': 13 * day,
}

/** The policy as a ledger of what became of each generation, to be compared with the row and with every answer. */
export class Ledger {
  /** `used`: whoever holds it has shown so, by a request or by refreshing. */
  readonly #generations = [{ made: 0, used: true }]
  #renewed = 0
  #revoked = false

  isLive = (now: number) => !this.#revoked && now < policy.life && now - this.#renewed < policy.idle

  /** Gives the generation that is answered; undefined for a refusal. */
  refresh(gen: number, now: number): number | undefined {
    if (!this.isLive(now)) return undefined
    const newest = this.#generations.length - 1
    if (gen === newest) {
      this.#generations[gen]!.used = true
      this.#generations.push({ made: now, used: false })
      this.#renewed = now
      return gen + 1
    }
    const successor = this.#generations[gen + 1]!
    const isRetry = now - successor.made <= policy.leeway || !successor.used
    if (gen + 1 === newest && isRetry) return newest
    this.#revoked = true
    return undefined
  }

  use(gen: number, now: number): number | undefined {
    if (!this.isLive(now)) return undefined
    this.#generations[gen]!.used = true
    return gen
  }

  get row() {
    return {
      gen: this.#generations.length - 1,
      confirmed_gen: this.#generations.findLastIndex(({ used }) => used),
      revoke_reason: this.#revoked ? 'refresh_reuse' : null,
      is_revoked: this.#revoked,
    }
  }
}

interface Tokens {
  access_token: string
  refresh_token: string
}

/** How requests are sent; a refusal gives undefined or false, and any other fault is thrown. */
interface Wire {
  refresh(refreshToken: string): Promise<Tokens | undefined>
  use(accessToken: string): Promise<boolean>
}

/** Straight to the services: quick. */
export function servicesWire(api: Api): Wire {
  const unlessRefused = (error: unknown) => {
    if (!(error instanceof UnauthorizedError)) throw error
    return undefined
  }
  const client = { request_id: 'a test', ip: '127.0.0.1', user_agent: null }
  return {
    refresh: (token) => api.services.auth.refresh(token, client).catch(unlessRefused),
    use: async (token) => (await api.services.sessions.authenticate(token).catch(unlessRefused)) !== undefined,
  }
}

/** Over HTTP: many requests are really under way at once. */
export function httpWire(api: Api): Wire {
  const isServed = (status: number) => {
    expect([200, 401]).toContain(status)
    return status === 200
  }
  return {
    async refresh(refresh_token) {
      const { status, body } = await api.post('/api/v1/auth/refresh', { refresh_token })
      return isServed(status) ? body.data : undefined
    },
    use: async (token) => isServed((await api.get('/api/v1/users/me', { token })).status),
  }
}

/** A token pair, and the generation that both of its tokens say. */
interface Pair extends Tokens {
  family: Family
  gen: number
}

/** A request, as those who send it see it. */
export interface Deed {
  by: string
  does: 'refresh' | 'use'
  gen: number
  at: number
  /** The generation of the pair that was answered, or was good for the request; undefined for a refusal. */
  answer?: number
}

/** One session: every pair that anybody got, and everything that was done with them. */
export interface Family {
  id: string
  owner: string
  pairs: Pair[]
  deeds: Deed[]
}

/** An honest client: all its tabs share what is stored. */
interface Owner {
  stored: Pair
  /** Answers that did not arrive. */
  lost: { asked: Pair; answer: Pair }[]
}

/** What a thief has. */
interface Loot {
  copied: Pair
  /** The copy, or what the thief made of it since. */
  held: Pair
}

const owners = ['Ada', 'Bob'] as const
const thieves = ['Mallory', 'Trudy'] as const
/** Nobody robs Bob: what happens to Ada is nothing to him. */
const victim = 'Ada'

export type World = Awaited<ReturnType<typeof createWorld>>

/** Sessions just opened, those who use them, and a clock. */
export async function createWorld(api: Api, user: { id: number; public_id: string }, wire: Wire) {
  const probe = servicesWire(api)
  const signer = { refresh: createRefreshTokens(settings()), access: createAccessTokens(settings()) }
  const logged = api.log.length
  const sessions = api.database.query
  let now = 0

  function pairOf(family: Family, { access_token, refresh_token }: Tokens): Pair {
    const [, , sid, gen] = refresh_token.split('.')
    const claims: unknown = JSON.parse(Buffer.from(access_token.split('.')[1]!, 'base64url').toString())
    expect(sid).toBe(family.id)
    expect(claims).toMatchObject({ sid, gen: Number(gen) })
    const pair = { access_token, refresh_token, family, gen: Number(gen) }
    family.pairs.push(pair)
    return pair
  }

  /** As signing in does, without the hashing. */
  async function open(owner: string): Promise<Family> {
    const { clock } = api.database
    const { public_id: id } = await sessions()
      .insertInto('sessions')
      .values({ user_id: user.id, expires_at: clock(policy.life), idle_expires_at: clock(policy.idle) })
      .returning('public_id')
      .executeTakeFirstOrThrow()
    const family: Family = { id, owner, pairs: [], deeds: [] }
    const claims = { sid: id, gen: 0 }
    pairOf(family, {
      access_token: signer.access.sign({ sub: user.public_id, role: 'user', ...claims }),
      refresh_token: signer.refresh.sign(claims),
    })
    return family
  }

  const families = await Promise.all(owners.map(open))
  const ids = families.map(({ id }) => id)
  const clients = new Map<string, Owner>(families.map(({ owner, pairs }) => [owner, { stored: pairs[0]!, lost: [] }]))
  const loots = new Map<string, Loot>()

  async function refresh(by: string, { family, gen, refresh_token }: Pair): Promise<Pair | undefined> {
    const deed: Deed = { by, does: 'refresh', gen, at: now }
    family.deeds.push(deed)
    const tokens = await wire.refresh(refresh_token)
    if (!tokens) return undefined
    const pair = pairOf(family, tokens)
    deed.answer = pair.gen
    return pair
  }

  async function use(by: string, { family, gen, access_token }: Pair): Promise<void> {
    const deed: Deed = { by, does: 'use', gen, at: now }
    family.deeds.push(deed)
    if (await wire.use(access_token)) deed.answer = gen
  }

  return {
    families,
    refresh,
    use,
    client: (owner: string) => clients.get(owner)!,
    loots,
    now: () => now,

    /** The access tokens do not grow old, so that after a revocation nothing but the revocation stops them. */
    async wait(seconds: number): Promise<void> {
      if (seconds === 0) return
      now += seconds
      const earlier = (column: string) =>
        api.database.engine.kind === 'sqlite'
          ? sql<string>`strftime('%Y-%m-%dT%H:%M:%fZ', ${sql.ref(column)}, ${-seconds} || ' seconds')`
          : sql<string>`${sql.ref(column)} - make_interval(secs => ${seconds})`
      const columns = ['rotated_at', 'expires_at', 'idle_expires_at']
      await sessions()
        .updateTable('sessions')
        .set(Object.fromEntries(columns.map((column) => [column, earlier(column)])))
        .where('public_id', 'in', ids)
        .execute()
    },

    /** What there is to see of each family, in the order of the families. */
    async look() {
      const rows = await sessions()
        .selectFrom('sessions')
        .select(['public_id', 'gen', 'confirmed_gen', 'revoked_at', 'revoke_reason'])
        .where('public_id', 'in', ids)
        .execute()
      const thefts = api.log.slice(logged).filter(({ event }) => event === 'session.refresh_reuse')
      return Promise.all(
        families.map(async (family) => {
          const { public_id, revoked_at, ...row } = rows.find(({ public_id: id }) => id === family.id)!
          const isRevoked = revoked_at !== null
          const isAccepted = await Promise.all(toTry(family, isRevoked, row.confirmed_gen).map(probe.use))
          return {
            row: { ...row, is_revoked: isRevoked },
            isAccepted,
            isAlive: isAccepted.includes(true),
            thefts: thefts.filter(({ session }) => session === public_id).length,
          }
        }),
      )
    },

    /** Whether any token there ever was of a family that has ended is still good for something. */
    async isAnyEndedAccepted(): Promise<boolean> {
      const alive = await Promise.all(families.map(({ pairs }) => probe.use(pairs[0]!.access_token)))
      const ended = families.filter((_, index) => !alive[index]).flatMap(({ pairs }) => pairs)
      const uses = await Promise.all(ended.map(({ access_token }) => probe.use(access_token)))
      const refreshTokens = [...new Set(ended.map(({ refresh_token }) => refresh_token))]
      const refreshes = await Promise.all(refreshTokens.map(probe.refresh))
      return uses.includes(true) || refreshes.some(Boolean)
    },
  }
}

/**
 * Access tokens to look with: of a revoked family one of each generation; of another, looking must leave
 * no trace, and a token that was never used would confirm its generation.
 */
function toTry({ pairs }: Family, isRevoked: boolean, confirmed: number): string[] {
  const generations = new Map(pairs.map(({ gen, access_token }) => [gen, access_token]))
  return isRevoked ? [...generations.values()] : [...new Set([0, confirmed])].map((gen) => generations.get(gen)!)
}

type Step = (world: World) => Promise<void>

/** Honest clients send what is stored at that moment, and keep it until an answer arrives. */
const ownerRefreshes = (owner: string) => async (world: World) => {
  const client = world.client(owner)
  const answer = await world.refresh(owner, client.stored)
  if (answer) client.stored = answer
}
const ownerUses = (owner: string) => (world: World) => world.use(owner, world.client(owner).stored)

const stealing = (name: string, pair: Pair, world: World): Loot => {
  const loot = { copied: pair, held: pair }
  world.loots.set(name, loot)
  return loot
}
/** A thief who has nothing yet copies first. */
const lootOf = (name: string, world: World): Loot =>
  world.loots.get(name) ?? stealing(name, world.client(victim).stored, world)
const thiefRefreshes = (name: string) => async (world: World) => {
  const loot = lootOf(name, world)
  const answer = await world.refresh(name, loot.held)
  if (answer) loot.held = answer
}
const thiefUses = (name: string) => (world: World) => world.use(name, lootOf(name, world).held)

const inTurn =
  (...parts: Step[]): Step =>
  async (world) => {
    for (const part of parts) await part(world)
  }

const stepsOf = (who: readonly string[], describe: (name: string) => Record<string, Step>) =>
  Object.assign({}, ...who.map(describe)) as Record<string, Step>

export const honestSteps = stepsOf(owners, (owner) => ({
  [`${owner} refreshes`]: ownerRefreshes(owner),
  [`${owner} refreshes, and the answer is lost`]: async (world) => {
    const client = world.client(owner)
    const asked = client.stored
    const answer = await world.refresh(owner, asked)
    if (answer) client.lost.push({ asked, answer })
  },
  [`${owner} uses the access token`]: ownerUses(owner),
  [`${owner} uses the first access token`]: (world) => world.use(owner, world.client(owner).stored.family.pairs[0]!),
}))

export const theftSteps = stepsOf(thieves, (name) => ({
  [`${name} copies the tokens of ${victim}`]: async (world) => {
    stealing(name, world.client(victim).stored, world)
  },
  [`${victim} refreshes, and ${name} gets the answer`]: async (world) => {
    const client = world.client(victim)
    const asked = client.stored
    const answer = await world.refresh(victim, asked)
    if (!answer) return
    client.lost.push({ asked, answer })
    stealing(name, answer, world)
  },
  [`${name} replays the copy`]: async (world) => {
    await world.refresh(name, lootOf(name, world).copied)
  },
  [`${name} uses the access token`]: thiefUses(name),
  [`${name} refreshes and goes on`]: inTurn(thiefRefreshes(name), thiefUses(name)),
}))

/** What makes the next use of a copy a theft that must come out. */
export const preparations = stepsOf(thieves, (name) => ({
  [`${name} copies the tokens of ${victim}, who then refreshes twice`]: async (world) => {
    stealing(name, world.client(victim).stored, world)
    await inTurn(ownerRefreshes(victim), ownerRefreshes(victim))(world)
  },
}))

/** What makes no sense among other steps at once: it takes time, or one part of it waits for another. */
export const lonelyThefts = stepsOf(thieves, (name) => ({
  [`${victim} refreshes twice, and ${name} replays what it copied before`]: async (world) => {
    const { copied } = stealing(name, world.client(victim).stored, world)
    await inTurn(ownerRefreshes(victim), ownerRefreshes(victim))(world)
    await world.refresh(name, copied)
  },
  [`${victim} refreshes and goes on, and ${name} replays what it copied before, 6 and 12 seconds later`]: async (
    world,
  ) => {
    const { copied } = stealing(name, world.client(victim).stored, world)
    await inTurn(ownerRefreshes(victim), ownerUses(victim))(world)
    for (let replay = 0; replay < 2; replay++) {
      await world.wait(6)
      await world.refresh(name, copied)
    }
  },
}))
export const lonelySteps = stepsOf(owners, (owner) => ({
  [`${owner} refreshes and goes on`]: inTurn(ownerRefreshes(owner), ownerUses(owner)),
  [`${owner} refreshes in two tabs at once`]: async (world) => {
    await Promise.all([ownerRefreshes(owner)(world), ownerRefreshes(owner)(world)])
  },
  [`${owner} refreshes in two tabs, and one is 6 seconds late`]: async (world) => {
    const { stored, lost } = world.client(owner)
    await inTurn(ownerRefreshes(owner), ownerUses(owner))(world)
    // The leeway counts from the rotation. If the answer to that was lost, it may be over: no tab may be late then.
    if (lost.some(({ asked }) => asked === stored)) return
    await world.wait(6)
    await world.refresh(owner, stored)
  },
  [`${owner} comes back after 13 days, and again`]: async (world) => {
    for (let visit = 0; visit < 2; visit++) {
      await world.wait(13 * day)
      await inTurn(ownerRefreshes(owner), ownerUses(owner))(world)
    }
  },
  [`${owner} refreshes, and gets the answer 13 days later`]: async (world) => {
    await world.refresh(owner, world.client(owner).stored)
    await world.wait(13 * day)
    await inTurn(ownerRefreshes(owner), ownerUses(owner))(world)
  },
  // Whoever got another answer meanwhile no longer waits for this one.
  [`a lost answer reaches ${owner} after all`]: async (world) => {
    const client = world.client(owner)
    const late = client.lost.pop()
    if (late?.asked === client.stored) client.stored = late.answer
  },
}))

export const steps: Record<string, Step> = {
  ...honestSteps,
  ...theftSteps,
  ...lonelySteps,
  ...lonelyThefts,
  ...preparations,
}

/** Owner and thief both go on as clients do, until the owner was there twice. */
export const chase = (thief: string) => [victim, thief, victim].map((who) => `${who} refreshes and goes on`)
