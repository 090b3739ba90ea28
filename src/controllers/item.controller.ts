import { expectedVersions, tagged } from '../core/http/conditional.ts'
import { authenticated, can, optional } from '../core/http/guards.ts'
import { sendLines } from '../core/http/lines.ts'
import { created, success } from '../core/http/responses.ts'
import type { App } from '../core/http/validation.ts'
import {
  createItem,
  deleteItem,
  exportItems,
  getItem,
  listItems,
  searchItems,
  updateItem,
} from '../schemas/item.schema.ts'
import type { Services } from '../wiring.ts'

export function itemController(app: App, { items }: Services) {
  const path = '/api/v1/items'

  app.get(path, { schema: listItems, onRequest: optional }, async ({ query }) => success(await items.list(query)))

  app.get(`${path}/search`, { schema: searchItems, onRequest: optional }, async ({ query }) =>
    success(await items.search(query)),
  )

  app.get(
    `${path}/export`,
    { schema: exportItems, onRequest: can('items:read'), config: { rateLimit: 60 } },
    async ({ query }, reply) => sendLines(reply, items.export(query)),
  )

  app.post(path, { schema: createItem, onRequest: authenticated }, async ({ actor, body }, reply) => {
    const item = await items.create(actor, body)
    return created(reply, `${path}/${item.public_id}`, tagged(reply, item))
  })

  app.get(`${path}/:public_id`, { schema: getItem, onRequest: optional }, async ({ params }, reply) =>
    success(tagged(reply, await items.get(params.public_id))),
  )

  app.patch(`${path}/:public_id`, { schema: updateItem, onRequest: authenticated }, async (request, reply) => {
    const { actor, params, body, headers } = request
    const expected = expectedVersions(headers, params.public_id)
    return success(tagged(reply, await items.change(actor, params.public_id, body, expected)))
  })

  app.delete(`${path}/:public_id`, { schema: deleteItem, onRequest: authenticated }, async (request) => {
    const { actor, params, headers } = request
    await items.remove(actor, params.public_id, expectedVersions(headers, params.public_id))
    return success({ message: 'The item was deleted' })
  })
}
