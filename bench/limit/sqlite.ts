// The limit on SQLite: `node:sqlite`, each statement prepared once.
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { serve, type Actor } from './http.ts'

const database = new DatabaseSync(process.env['DATABASE_URL']!.slice('sqlite:///'.length))
// As the template has it; a commit that was answered survives a power cut.
database.exec(`
  pragma busy_timeout = 5000;
  pragma journal_mode = wal;
  pragma synchronous = full;
  pragma foreign_keys = on;
  pragma trusted_schema = off;
  pragma recursive_triggers = on;
  pragma secure_delete = on;
`)
const fold = (value: unknown) =>
  typeof value === 'string' ? value.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ') : null
database.function('fold', { deterministic: true }, fold)

const columns = `public_id, name, description, status, priority, created_at, updated_at,
  (select users.public_id from users where users.id = items.owner_id) as owner_id`
const live = 'items where deleted_at is null'
const newest = 'order by created_at desc, id desc'
const now = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`
const matching = String.raw`${live} and (fold(name) like ?1 escape '\' or fold(description) like ?1 escape '\')`

const prepare = (text: string) => database.prepare(text)
const actor = prepare(`select users.id, users.public_id, users.role, users.is_verified, sessions.public_id as session_id
  from sessions join users on users.id = sessions.user_id
  where sessions.public_id = ? and users.public_id = ? and users.is_active and users.deleted_at is null
    and revoked_at is null and expires_at > ${now} and idle_expires_at > ${now}`)
const find = prepare(`select ${columns} from ${live} and public_id = ?`)
const list = prepare(`select ${columns} from ${live} ${newest} limit ? offset ?`)
const count = prepare(`select count(*) as total from ${live}`)
const search = prepare(`select ${columns} from ${matching} ${newest} limit ?2 offset ?3`)
const countMatching = prepare(`select count(*) as total from ${matching}`)
const add = prepare(`insert into items (name, description, status, priority, owner_id) values (?, ?, ?, ?, ?)
  returning public_id, name, description, status, priority, created_at, updated_at, ? as owner_id`)
const change = prepare(`update items set name = coalesce(?4, name),
    description = case when ?5 then ?6 else description end, status = coalesce(?7, status),
    priority = coalesce(?8, priority), updated_at = ${now}
  where deleted_at is null and public_id = ?1 and (owner_id = ?2 or ?3) returning ${columns}`)
const remove = prepare(`update items set deleted_at = ${now}
  where deleted_at is null and public_id = ?1 and (owner_id = ?2 or ?3)`)

const pattern = (part: string) => `%${fold(part)!.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
const total = (statement: typeof count, ...values: SQLInputValue[]) =>
  (statement.get(...values) as { total: number }).total

serve({
  findActor: (session, user) => actor.get(session, user) as Actor | undefined,
  find: (publicId) => find.get(publicId),
  list: (limit, offset) => ({ rows: list.all(limit, offset), total: total(count) }),
  search(part, limit, offset) {
    const sought = pattern(part)
    return { rows: search.all(sought, limit, offset), total: total(countMatching, sought) }
  },
  add: (owner, { name, description, status, priority }) =>
    add.get(name, description, status, priority, owner.id, owner.public_id) as { public_id: string },
  change(publicId, { name = null, description, status = null, priority = null }, { id }, any) {
    const isGiven = Number(description !== undefined)
    return change.get(publicId, id, Number(any), name, isGiven, description ?? null, status, priority)
  },
  remove: (publicId, { id }, any) => remove.run(publicId, id, Number(any)).changes === 1,
})
