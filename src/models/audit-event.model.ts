import { defineEntity, p } from '@mikro-orm/core'
import { encrypted, primaryKey, time } from './mixins.ts'

/**
 * What happened to accounts and sessions: who, what, when, from where, in which request. Rows are added and
 * never changed (a new encryption of the address aside), and deleted only after `kept_until`; the
 * database itself refuses the rest. Accounts and sessions are named, not referred to: the record
 * outlives them.
 */
export const AuditEvent = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  properties: {
    ...primaryKey,
    created_at: time().defaultRaw('now()'),
    event: p.string().length(50),
    user_public_id: p.uuid().strictNullable(),
    session_public_id: p.uuid().strictNullable(),
    reason: p.string().length(50).strictNullable(),
    /** How many sessions it ended. */
    sessions: p.integer().strictNullable(),
    ip: encrypted().strictNullable(),
    user_agent: p.string().length(400).strictNullable(),
    request_id: p.string().length(128).strictNullable(),
    kept_until: time(),
  },
  indexes: [
    { name: 'audit_events_user', properties: ['user_public_id', 'id'] },
    { name: 'audit_events_kept_until', properties: ['kept_until'] },
  ],
  triggers: [
    {
      name: 'audit_events_unchanged',
      timing: 'before',
      events: ['update'],
      when: `(${recorded('old')}, old.ip is null) is distinct from (${recorded('new')}, new.ip is null)`,
      body: `raise exception 'audit events are not changed'`,
    },
    {
      name: 'audit_events_kept',
      timing: 'before',
      events: ['delete'],
      when: 'old.kept_until > now()',
      body: `raise exception 'audit events are kept until kept_until'`,
    },
    {
      name: 'audit_events_not_truncated',
      timing: 'before',
      events: ['truncate'],
      forEach: 'statement',
      body: `raise exception 'audit events are kept until kept_until'`,
    },
  ],
})

function recorded(row: 'old' | 'new'): string {
  const columns =
    'id created_at event user_public_id session_public_id reason sessions user_agent request_id kept_until'
  return columns.replaceAll(/\w+/g, `${row}.$&`).replaceAll(' ', ', ')
}
