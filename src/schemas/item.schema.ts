import { z } from 'zod'
import { itemSorts, itemStatuses } from '../models/enums.ts'
import {
  cursorParameters,
  integerParameter,
  publicIdPath,
  text,
  timeParameter,
  timestamps,
  trimmed,
  uuid,
} from './mixins.ts'
import { message, pagination, success } from './responses.ts'

const fields = {
  name: trimmed(1, 100).meta({ examples: ['Write the first test'] }),
  description: text(0, 10_000)
    .nullable()
    .meta({ examples: ['It should fail before it passes.'] }),
  status: z.enum(itemStatuses).meta({ examples: ['draft'] }),
  priority: z
    .int()
    .min(1)
    .max(5)
    .meta({ description: '1 is the lowest, 5 the highest.', examples: [3] }),
}

const item = z
  .object({
    public_id: uuid,
    ...fields,
    owner_id: uuid.nullable().meta({ description: "The owner's public id; null for items of nobody." }),
    ...timestamps,
  })
  .meta({ id: 'Item' })

const itemCreate = z
  .strictObject({
    name: fields.name,
    description: fields.description.default(null),
    status: fields.status.default('draft'),
    priority: fields.priority.default(1),
  })
  .meta({ id: 'ItemCreate' })

const itemUpdate = z.strictObject(fields).partial().meta({ id: 'ItemUpdate' })

const filters = {
  status: fields.status.optional().meta({ description: 'Only items with this status.' }),
  priority: integerParameter(1, 5).optional().meta({ description: 'Only items with this priority.' }),
  owner: uuid.optional().meta({ description: 'Only items of the account with this public id.' }),
  created_after: timeParameter.optional().meta({ description: 'Only items made later than this.' }),
  created_before: timeParameter.optional().meta({ description: 'Only items made earlier than this.' }),
}

const ordered = {
  ...cursorParameters,
  sort: z.enum(itemSorts).default('-created_at').meta({
    description:
      'The order; `-` means descending. Equal names and priorities follow in the order of their making, in the same direction.',
  }),
}

const itemFilter = z.strictObject(filters)
const itemQuery = z.strictObject({ ...ordered, ...filters })

const itemSearch = z.strictObject({
  q: text(1, 100).meta({
    description:
      'Part of the name or the description, in any letter case. `%` and `_` are plain letters. What has no three letters or digits in a row is looked for in the 10 000 newest items that match the filters.',
    examples: ['test'],
  }),
  ...ordered,
  ...filters,
})

export type ItemCreate = z.output<typeof itemCreate>
export type ItemUpdate = z.output<typeof itemUpdate>
export type ItemFilter = z.output<typeof itemFilter>
export type ItemQuery = z.output<typeof itemQuery>
export type ItemSearch = z.output<typeof itemSearch>

const tags = ['items']

export const listItems = {
  operationId: 'listItems',
  tags,
  summary: 'List items',
  description: 'Newest first. Open to everyone; a Bearer token sent along must be valid.',
  querystring: itemQuery,
  response: { 200: success(z.object({ items: z.array(item), pagination })) },
}

export const searchItems = {
  operationId: 'searchItems',
  tags,
  summary: 'Search items',
  description:
    'Looks into names and descriptions. `count` is the number of items on this page, `pagination.total` of all that match.',
  querystring: itemSearch,
  response: { 200: success(z.object({ items: z.array(item), count: z.int().meta({ examples: [1] }), pagination })) },
}

export const exportItems = {
  operationId: 'exportItems',
  tags,
  summary: 'Export items',
  description:
    'All items that match, oldest first, one on each line, however many there are. Items that come or go meanwhile may be among them or not. A connection that breaks off means that there was more. For holders of `items:read`.',
  querystring: itemFilter,
  response: { 200: item },
  media: 'application/x-ndjson',
}

export const createItem = {
  operationId: 'createItem',
  tags,
  summary: 'Create an item',
  description: 'The caller becomes its owner. `Location` holds its address.',
  body: itemCreate,
  versioned: true,
  response: { 201: success(item) },
}

export const getItem = {
  operationId: 'getItem',
  tags,
  summary: 'Get an item',
  description: 'Open to everyone; a Bearer token sent along must be valid.',
  params: publicIdPath,
  versioned: true,
  response: { 200: success(item) },
}

export const updateItem = {
  operationId: 'updateItem',
  tags,
  summary: 'Change an item',
  description: 'Only the fields sent change. For its owner, and for holders of `items:write`.',
  params: publicIdPath,
  body: itemUpdate,
  versioned: true,
  response: { 200: success(item) },
  errors: ['forbidden' as const],
}

export const deleteItem = {
  operationId: 'deleteItem',
  tags,
  summary: 'Delete an item',
  description: 'It can no longer be read; its row is kept. For its owner, and for holders of `items:delete`.',
  params: publicIdPath,
  versioned: true,
  response: { 200: success(message) },
  errors: ['forbidden' as const],
}
