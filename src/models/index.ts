import type { InferKyselyDB } from '@mikro-orm/sql'
import { AuditEvent } from './audit-event.model.ts'
import { IdempotencyKey } from './idempotency-key.model.ts'
import { Item } from './item.model.ts'
import { Session } from './session.model.ts'
import { Throttle } from './throttle.model.ts'
import { User } from './user.model.ts'

/** Every model. Migrations are made from this list. */
export const models = [User, Session, Item, Throttle, IdempotencyKey, AuditEvent]

/** The tables as queries see them: row types for select, insert and update, taken from the models. */
export type Tables = InferKyselyDB<(typeof models)[number], { columnNamingStrategy: 'property' }>
