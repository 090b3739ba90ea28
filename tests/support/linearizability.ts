/**
 * An operation on one register, as the client saw it. The register holds a value and counts its changes: a version.
 * `begin` and `end` are times on one clock. Without an `end` it is not known what became of it: it may have happened
 * at any time after its begin, or never, and what it answered is not known either.
 */
export type Operation = { client: number; begin: number; end?: number } & (
  | { kind: 'read'; value: unknown; version: number }
  /** `version` is what it made; undefined when it was refused, since the register had another than `expected`. */
  | { kind: 'compare-and-set'; expected: number; value: unknown; version?: number | undefined }
  | { kind: 'write'; value: unknown; version?: number | undefined }
)

export interface Register {
  value: unknown
  version: number
}

/** The register after an operation; undefined when it cannot answer as it did. */
function apply(operation: Operation, register: Register): Register | undefined {
  const { value, version } = operation
  const isUnknown = operation.end === undefined
  if (operation.kind === 'read') return value === register.value && version === register.version ? register : undefined
  const isMet = operation.kind === 'write' || operation.expected === register.version
  // Refused, and rightly so. What is not known and would change nothing need not have happened.
  if (!isMet) return version === undefined && !isUnknown ? register : undefined
  const next = { value, version: register.version + 1 }
  return isUnknown || version === next.version ? next : undefined
}

/**
 * Whether a history is linearizable: whether each operation can have happened at one moment between its begin and its
 * end, one after another (Herlihy and Wing, "Linearizability", TOPLAS 12(3), 1990).
 *
 * The search is that of Wing and Gong ("Testing and verifying concurrent objects", JPDC 17(1–2), 1993): of what has
 * begun before the first end of what is left, each is tried as the next. It remembers, as Lowe does ("Testing for
 * linearizability", CCPE 29(4), 2017), which operations led to which register, and tries none such a second time.
 *
 * @returns undefined when it is; otherwise the operations of which one had to be next and none could, in the longest
 *   order that was found
 */
export function findFault(history: Operation[], initial: Register): Operation[] | undefined {
  const ordered = history.toSorted((a, b) => a.begin - b.begin)
  const known = ordered.filter(({ end }) => end !== undefined)
  const unknown = ordered.filter(({ end }) => end === undefined)
  const stack: State[] = [{ register: initial, first: 0, ahead: [], extra: [] }]
  const seen = new Set<string>()
  let furthest = { done: -1, next: known }

  for (let state = stack.pop(); state; state = stack.pop()) {
    // What is left is not known to have happened.
    if (state.first === known.length) return undefined
    const next: { operation: Operation; after: Omit<State, 'register'> }[] = []
    const { first, ahead, extra } = state
    let end = Infinity
    for (let index = first; index < known.length && known[index]!.begin <= end; index++) {
      if (ahead.includes(index)) continue
      next.push({ operation: known[index]!, after: { ...advance(first, ahead, index), extra } })
      end = Math.min(end, known[index]!.end!)
    }
    const done = first + ahead.length
    if (done > furthest.done) furthest = { done, next: next.map(({ operation }) => operation) }
    for (const [index, operation] of unknown.entries())
      if (operation.begin <= end && !extra.includes(index))
        next.push({ operation, after: { first, ahead, extra: [...extra, index].toSorted((a, b) => a - b) } })

    // What changes nothing may as well happen now: it is in the way of nobody, and there is no need to try it later.
    const { register: before } = state
    const idle = next.find(({ operation }) => apply(operation, before) === before)
    // The last one pushed is tried first: of those that are known the earliest begun.
    for (const { operation, after } of idle ? [idle] : next.toReversed()) {
      const register = apply(operation, before)
      const key = JSON.stringify([register, after])
      if (!register || seen.has(key)) continue
      seen.add(key)
      stack.push({ register, ...after })
    }
  }
  return furthest.next
}

/** Of the known operations, in the order of their begin, those before `first` have happened, and those in `ahead`. */
interface State {
  register: Register
  first: number
  ahead: number[]
  /** Which of the unknown ones have happened. */
  extra: number[]
}

function advance(first: number, ahead: number[], index: number): Pick<State, 'first' | 'ahead'> {
  const done = [...ahead, index].toSorted((a, b) => a - b)
  while (done[0] === first) {
    done.shift()
    first++
  }
  return { first, ahead: done }
}
