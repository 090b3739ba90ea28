import { StatementSync, type SQLInputValue } from 'node:sqlite'
import pg from 'pg'
import { vi } from 'vitest'

export interface SentStatement {
  text: string
  values: unknown[]
}

/** Watches what reaches the drivers, whoever sends it. Connections that are open already are not watched. */
export function watchStatements() {
  const sent: SentStatement[] = []
  const spies = (['all', 'run', 'iterate'] as const).map((method) => {
    const original = StatementSync.prototype[method] as (...values: SQLInputValue[]) => unknown
    return vi.spyOn(StatementSync.prototype, method).mockImplementation(function (this: StatementSync, ...values) {
      sent.push({ text: this.sourceSQL, values })
      return original.apply(this, values as SQLInputValue[]) as never
    })
  })
  const query = pg.Client.prototype.query as (...given: unknown[]) => unknown
  const spy = vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (
    this: pg.Client,
    ...given: unknown[]
  ) {
    const [first, values] = given as [SentStatement | string, unknown[] | undefined]
    sent.push(typeof first === 'string' ? { text: first, values: values ?? [] } : first)
    return query.apply(this, given) as never
  })
  return {
    /** What was sent while something was done. */
    async during(work: () => Promise<unknown>): Promise<SentStatement[]> {
      sent.length = 0
      await work()
      return [...sent]
    },
    stop: () => [...spies, spy].forEach((each) => each.mockRestore()),
  }
}
