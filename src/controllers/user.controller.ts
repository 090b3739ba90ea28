import { expectedVersions, tagged } from '../core/http/conditional.ts'
import { authenticated } from '../core/http/guards.ts'
import { success } from '../core/http/responses.ts'
import type { App } from '../core/http/validation.ts'
import { changePassword, deactivate, getProfile, updateProfile } from '../schemas/user.schema.ts'
import type { Services } from '../wiring.ts'

export function userController(app: App, { users }: Services) {
  const path = '/api/v1/users/me'

  app.get(path, { schema: getProfile, onRequest: authenticated }, async ({ actor }, reply) =>
    success(tagged(reply, await users.profile(actor))),
  )

  app.patch(path, { schema: updateProfile, onRequest: authenticated }, async ({ actor, body, headers }, reply) => {
    const expected = expectedVersions(headers, actor.public_id)
    return success(tagged(reply, await users.changeProfile(actor, body, expected)))
  })

  app.post(`${path}/password`, { schema: changePassword, onRequest: authenticated }, async ({ actor, body }) => {
    await users.changePassword(actor, body)
    return success({ message: 'Your password was changed, and your other sessions have ended' })
  })

  app.post(`${path}/deactivate`, { schema: deactivate, onRequest: authenticated }, async ({ actor }) => {
    await users.deactivate(actor)
    return success({ message: 'Your account was deactivated' })
  })
}
