import { describe, onTestFinished, test } from 'vitest'
import type { DatabaseKind } from '../../support/databases.ts'
import { Project } from '../../support/process.ts'

/** What a fault came to, for docs/reliability.md. */
export interface Seen {
  /** What was done, and how often: "killed 10 times while 16 clients wrote". */
  done: string
  /** What came of it: "3412 writes acknowledged, 3412 found, ready again after 0.6 s at most". */
  seen: string
}

/** A row of docs/reliability.md. */
export interface FaultRow extends Partial<Seen> {
  fault: string
  promise: string
  database: string
}

declare module 'vitest' {
  interface TaskMeta {
    fault?: FaultRow
  }
}

interface FaultOptions {
  /** What holds whatever happens: the criterion, in one sentence. */
  promise: string
  /** The databases it is tried on; with none it is tried once. */
  on?: DatabaseKind[]
  /** Whether `.ci/run` tries it each time: a few seconds, and nothing that wants root or rare programs. */
  quick?: boolean
  /** Seconds that it may take. */
  limit?: number
  /** Why it cannot be tried on this machine; undefined when it can. It is told, never passed over. */
  cannot?: () => string | undefined
}

interface FaultContext {
  kind: DatabaseKind
  /** A copy of the project, to start servers in. What it started is ended afterwards. */
  project: Project
}

/** Whether only those faults are asked for that take seconds. */
export const isQuick = process.env['FAULTS'] === 'quick'

/** A fault that the service survives: a test of its own on each database. `body` makes it, and checks. */
export function fault(title: string, options: FaultOptions, body: (context: FaultContext) => Promise<Seen>): void {
  const { promise, on = ['sqlite', 'postgresql'], quick = false, limit = 120, cannot } = options
  describe(title, () => {
    for (const kind of on.length > 0 ? on : [undefined])
      test.skipIf(isQuick && !quick)(
        kind ? `on ${kind}` : 'on any database',
        { timeout: limit * 1000 },
        async ({ task, skip }) => {
          const row: FaultRow = { fault: title, promise, database: kind ?? 'any' }
          task.meta.fault = row
          const reason = cannot?.()
          if (reason !== undefined) skip(reason)
          const project = new Project()
          onTestFinished(() => project.remove())
          Object.assign(row, await body({ kind: kind ?? 'sqlite', project }))
        },
      )
  })
}
