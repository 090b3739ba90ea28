import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findFault, type Operation, type Register } from '../support/linearizability.ts'

const initial: Register = { value: 'a', version: 1 }
const isLinearizable = (history: Operation[]) => findFault(history, initial) === undefined

const read = (begin: number, end: number, value: string, version: number): Operation => ({
  client: 0,
  kind: 'read',
  begin,
  end,
  value,
  version,
})
const write = (begin: number, end: number | undefined, value: string, version?: number): Operation => ({
  client: 1,
  kind: 'write',
  begin,
  ...(end !== undefined && { end }),
  value,
  version,
})
const set = (begin: number, end: number | undefined, expected: number, value: string, version?: number): Operation => ({
  client: 2,
  kind: 'compare-and-set',
  begin,
  ...(end !== undefined && { end }),
  expected,
  value,
  version,
})

describe('a history is linearizable', () => {
  const good: Record<string, Operation[]> = {
    'with nothing in it': [],
    'with one operation after another': [write(0, 1, 'b', 2), read(2, 3, 'b', 2), set(4, 5, 2, 'c', 3)],
    'when a read at the same time sees what was before': [write(0, 5, 'b', 2), read(1, 2, 'a', 1)],
    'when a read at the same time sees what comes': [write(0, 5, 'b', 2), read(1, 2, 'b', 2)],
    'when of two that expect the same one is refused': [set(0, 5, 1, 'b', 2), set(1, 4, 1, 'c')],
    'when a refusal comes before the answer of whom it lost to': [set(1, 2, 1, 'c'), set(0, 5, 1, 'b', 2)],
    'when an unknown write is never seen': [set(0, undefined, 1, 'b'), read(5, 6, 'a', 1)],
    'when an unknown write is seen later': [set(0, undefined, 1, 'b'), read(1, 2, 'a', 1), read(5, 6, 'b', 2)],
    'when an unknown write is seen in its version alone': [write(0, undefined, 'b'), set(5, 6, 2, 'c', 3)],
    'when an unknown write takes effect long after': [
      set(0, undefined, 2, 'c'),
      read(1, 2, 'a', 1),
      write(3, 4, 'b', 2),
      read(5, 6, 'c', 3),
    ],
  }
  test.for(Object.entries(good))('%s', ([, history]) => {
    expect(findFault(history, initial)).toBeUndefined()
  })
})

describe('a history is not linearizable', () => {
  const bad: Record<string, Operation[]> = {
    'with a stale read': [write(0, 1, 'b', 2), read(2, 3, 'a', 1)],
    'when a value is seen, and then the one before it': [write(0, 9, 'b', 2), read(1, 2, 'b', 2), read(3, 4, 'a', 1)],
    'with a lost update': [set(0, 2, 1, 'b', 2), set(1, 3, 1, 'c', 2)],
    'with an update that was lost between two writes': [write(0, 1, 'b', 2), write(2, 3, 'c', 2)],
    'with a refusal that nobody was the reason for': [set(0, 1, 1, 'b')],
    'with a value that nobody wrote': [read(0, 1, 'z', 1)],
    'when a write is seen before it was sent': [read(0, 1, 'b', 2), write(2, 3, 'b', 2)],
    'when an unknown write is seen, and is gone later': [
      set(0, undefined, 1, 'b'),
      read(1, 2, 'b', 2),
      read(3, 4, 'a', 1),
    ],
    'when an unknown write was done twice': [
      write(0, undefined, 'b'),
      read(1, 2, 'b', 2),
      write(3, 4, 'c', 3),
      read(5, 6, 'b', 4),
    ],
    'when a known write was done twice': [write(0, 1, 'b', 2), read(2, 3, 'b', 3)],
  }
  test.for(Object.entries(bad))('%s', ([, history]) => {
    expect(findFault(history, initial)).toBeDefined()
  })

  test('and it is told what could not be next', () => {
    const stale = read(2, 3, 'a', 1)
    expect(findFault([write(0, 1, 'b', 2), stale, read(4, 5, 'b', 2)], initial)).toEqual([stale])
  })
})

/** What some client asks for, at the register when its turn comes, and whether the answer arrives. */
const request = fc.record({
  client: fc.nat(7),
  kind: fc.constantFrom<Operation['kind'][]>('read', 'compare-and-set', 'write'),
  /** How far behind what it expects is. */
  behind: fc.constantFrom(0, 0, 1),
  before: fc.nat(10),
  after: fc.nat(10),
  fate: fc.constantFrom<('answered' | 'lost' | 'dropped')[]>('answered', 'answered', 'answered', 'lost', 'dropped'),
})
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never

/** The history of a register that is atomic: what happens does so at `index`, some time between begin and end. */
function historyOf(requests: Request[]): Operation[] {
  let register = initial
  const free = new Map<number, number>()
  return requests.flatMap((asked, index): Operation[] => {
    // A client waits for its answer before it asks again; who got none is another one from then on.
    const client = asked.client + (asked.fate === 'answered' ? 0 : 100 + index)
    const begin = Math.max(index - asked.before, free.get(client) ?? -Infinity)
    const end = index + asked.after / 10
    free.set(client, end)
    const value = `value ${index}`
    const expected = register.version - asked.behind
    const isSet = asked.kind === 'write' || (asked.kind === 'compare-and-set' && expected === register.version)
    if (isSet && asked.fate !== 'dropped') register = { value, version: register.version + 1 }
    const isKnown = asked.fate === 'answered'
    if (asked.kind === 'read') return isKnown ? [{ client, kind: 'read', begin, end, ...register }] : []
    const version = isSet && isKnown ? register.version : undefined
    const sent = asked.kind === 'write' ? { kind: asked.kind } : { kind: asked.kind, expected }
    return [{ client, begin, ...(isKnown && { end }), ...sent, value, version }]
  })
}

const historiesOf = (maxLength: number) => fc.array(request, { minLength: 1, maxLength, size: 'max' }).map(historyOf)
/** To refuse one, every order must be tried, and unknown writes make many. */
const shortHistories = historiesOf(12)

describe('of a register that is atomic', () => {
  test('every history is linearizable', () => {
    fc.assert(fc.property(historiesOf(60), isLinearizable), { numRuns: 500 })
    expect.assertions(0)
  })

  test('no history is linearizable in which one answer is another', () => {
    const mutated = fc.tuple(shortHistories, fc.nat()).map(([history, which]) => {
      const told = history.filter(({ end, version }) => end !== undefined && version !== undefined)
      const target = told[which % told.length]
      return history.map((operation) =>
        operation === target ? { ...operation, version: operation.version! + 100 } : operation,
      )
    })
    const isMutated = (history: Operation[]) => history.some(({ version = 0 }) => version > 100)
    fc.assert(
      fc.property(mutated, (history) => {
        fc.pre(isMutated(history))
        return !isLinearizable(history)
      }),
      { numRuns: 500 },
    )
    expect.assertions(0)
  })

  test('no history is linearizable with a stale read at its end', () => {
    fc.assert(
      fc.property(shortHistories, (history) => {
        const versions = history.map(({ end, version }) => (end === undefined ? 0 : (version ?? 0)))
        const newest = Math.max(1, ...versions)
        fc.pre(newest > 1)
        const end = Math.max(...history.map(({ begin, end: at = begin }) => at)) + 1
        return !isLinearizable([...history, read(end, end + 1, 'a', 1)])
      }),
      { numRuns: 300 },
    )
    expect.assertions(0)
  })

  test('a long history of many clients is checked quickly', () => {
    const requests = Array.from({ length: 4000 }, (_, index): Request => ({
      client: index % 20,
      kind: index % 2 ? 'compare-and-set' : 'read',
      behind: index % 6 === 3 ? 1 : 0,
      before: index % 19,
      after: index % 10,
      fate: index % 11 === 0 ? 'lost' : index % 13 === 0 ? 'dropped' : 'answered',
    }))
    expect(findFault(historyOf(requests), initial)).toBeUndefined()
  })
})
