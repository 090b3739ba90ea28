import { afterAll, beforeAll } from 'vitest'
import { Api } from './api.ts'
import { freshDatabase, type DatabaseKind } from './databases.ts'
import { useProject } from './process.ts'
import { environment } from './settings.ts'

/** A server, and the command line as processes beside it, on one database. */
export function useCommands(kind: DatabaseKind) {
  const project = useProject()
  const api = new Api()
  const given: Record<string, string> = { ...environment }
  beforeAll(async () => {
    given['DATABASE_URL'] = await freshDatabase(kind)
    await api.start(kind, given)
  })
  afterAll(() => api.stop())
  return {
    api,
    project,
    given,
    /** Runs a command to its end. */
    app: (parameters: string[], input?: string | Buffer) => project.app(parameters, given, input),
    logIn: (email: string, password: string) => api.post('/api/v1/auth/login', { email, password }),
    /** The security events that commands left, as rows. */
    events: () =>
      api.database
        .query()
        .selectFrom('audit_events')
        .select(['event', 'user_public_id as user', 'reason', 'sessions', 'user_agent'])
        .where('user_agent', 'like', 'app %')
        .orderBy('id')
        .execute(),
  }
}

/** The security events that a command told, as lines. */
export const toldIn = (stderr: string) =>
  stderr
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
