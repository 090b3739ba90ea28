import { clientOf } from '../core/http/client.ts'
import { authenticated, open } from '../core/http/guards.ts'
import { created, success } from '../core/http/responses.ts'
import type { App } from '../core/http/validation.ts'
import { listSessions, login, logout, logoutAll, refresh, register, revokeSession } from '../schemas/auth.schema.ts'
import type { Services } from '../wiring.ts'

export function authController(app: App, { auth, sessions }: Services) {
  const path = '/api/v1/auth'

  app.post(`${path}/register`, { schema: register, onRequest: open }, async (request, reply) =>
    created(reply, '/api/v1/users/me', await auth.register(request.body, clientOf(request))),
  )

  app.post(`${path}/login`, { schema: login, onRequest: open }, async (request) =>
    success(await auth.login(request.body, clientOf(request))),
  )

  app.post(`${path}/refresh`, { schema: refresh, onRequest: open }, async (request) =>
    success(await auth.refresh(request.body.refresh_token, clientOf(request))),
  )

  app.post(`${path}/logout`, { schema: logout, onRequest: open }, async (request) => {
    await auth.logout(request.body.refresh_token, clientOf(request))
    return success({ message: 'You are signed out' })
  })

  app.post(`${path}/logout-all`, { schema: logoutAll, onRequest: authenticated }, async ({ actor }) => {
    const tokens_revoked = await sessions.revokeAll(actor)
    return success({ message: 'You are signed out everywhere', tokens_revoked })
  })

  app.get(`${path}/sessions`, { schema: listSessions, onRequest: authenticated }, async ({ actor }) =>
    success(await sessions.list(actor)),
  )

  app.delete(
    `${path}/sessions/:public_id`,
    { schema: revokeSession, onRequest: authenticated },
    async ({ actor, params }) => {
      await sessions.revoke(actor, params.public_id)
      return success({ message: 'The session has ended' })
    },
  )
}
