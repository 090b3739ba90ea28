// What became of the requests of a soak.
import type { Answer } from '../support/requests.ts'

export interface Tally {
  /** How often each status came. */
  statuses: Record<string, number>
  /** Answers that nobody may get, by what they are: none is wanted. */
  faults: Record<string, number>
  /** Broken off by the client, on purpose. */
  aborted: number
  /** Not sent, because too many were under way. */
  unsent: number
  /** Milliseconds of each answer, but for those that take long by their nature. */
  times: number[]
  /** Items that the clients made and did not delete, at the end. */
  items: number
}

export const emptyTally = (): Tally => ({ statuses: {}, faults: {}, aborted: 0, unsent: 0, times: [], items: 0 })

export const count = (counts: Record<string, number>, name: string | number, by = 1): void =>
  void (counts[name] = (counts[name] ?? 0) + by)

/** Counts an answer to `what`. Of any request, an honest 503 may be one: it says when to come again. */
export function countAnswer(tally: Tally, what: string, answer: Answer, expected: number[]): void {
  const { status } = answer
  count(tally.statuses, status)
  if (status === 503 && headerOf(answer, 'retry-after') === undefined)
    count(tally.faults, `${what}: 503 without Retry-After`)
  else if (status !== 503 && !expected.includes(status)) {
    count(tally.faults, `${what}: ${status} ${envelopeOf(answer).code ?? ''}`.trim())
  }
}

export const headerOf = ({ headers }: Answer, wanted: string): string | undefined =>
  headers.find(([name]) => name === wanted)?.[1]

/** The parts of an answer that clients go by. */
interface Envelope {
  code?: string
  data?: { public_id?: string; access_token: string; refresh_token: string }
}

export function envelopeOf({ body }: Answer): Envelope {
  try {
    return JSON.parse(body) as Envelope
  } catch {
    return {}
  }
}

/** Adds what was told later. */
export function add(tally: Tally, later: Tally): void {
  for (const [status, times] of Object.entries(later.statuses)) count(tally.statuses, status, times)
  for (const [fault, times] of Object.entries(later.faults)) count(tally.faults, fault, times)
  tally.aborted += later.aborted
  tally.unsent += later.unsent
  tally.times.push(...later.times)
  tally.items = later.items
}
