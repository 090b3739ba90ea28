// The limit on SQLite: `node:sqlite`, each statement prepared once.
import { DatabaseSync } from 'node:sqlite'
import { fold } from '../../src/core/fold.ts'
import { serve, type Actor, type Item, type Row } from './http.ts'

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

const columns = `public_id, name, description, status, priority, created_at, updated_at,
  (select users.public_id from users where users.id = items.owner_id) as owner_id`
const single = `version, ${columns}`
const live = 'items where deleted_at is null'
const newest = 'order by created_at desc, id desc'
const now = `strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`

const prepare = (text: string) => database.prepare(text)
const actor = prepare(`select users.id, users.public_id, users.role, users.is_verified, sessions.public_id as session_id
  from sessions join users on users.id = sessions.user_id
  where sessions.public_id = ? and users.public_id = ? and users.is_active and users.deleted_at is null
    and revoked_at is null and expires_at > ${now} and idle_expires_at > ${now}`)
const find = prepare(`select ${single} from ${live} and public_id = ?`)
const list = prepare(`select id, ${columns} from ${live} ${newest} limit ? offset ?`)
const count = prepare(`select count(*) as total from ${live}`)
const searching = (condition: string) =>
  prepare(`with found as materialized (select * from ${live} and ${condition})
    select id, ${columns}, (select count(*) from found) as total from found as items ${newest} limit ?2 offset ?3`)
const search = searching('id in (select rowid from items_search where items_search match ?1)')
/** For words that have no trigram. */
const compare = searching(String.raw`(name_folded like ?1 escape '\' or description_folded like ?1 escape '\')`)
const add = prepare(`insert into items
    (name, description, status, priority, owner_id, name_folded, description_folded)
  values (?1, ?2, ?3, ?4, ?5, ?7, ?8)
  returning public_id, version, name, description, status, priority, created_at, updated_at, ?6 as owner_id`)
const change = prepare(`update items set name = coalesce(?4, name),
    description = case when ?5 then ?6 else description end, status = coalesce(?7, status),
    priority = coalesce(?8, priority), updated_at = ${now}, version = version + 1, name_folded = coalesce(?9, name_folded),
    description_folded = case when ?5 then ?10 else description_folded end
  where deleted_at is null and public_id = ?1 and (owner_id = ?2 or ?3) returning ${single}`)
const remove = prepare(`update items set deleted_at = ${now}, version = version + 1
  where deleted_at is null and public_id = ?1 and (owner_id = ?2 or ?3)`)

const pattern = (part: string) => `%${fold(part).replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
const phrase = (part: string) => `"${fold(part).replaceAll('"', '""')}"`

/** A row of a search says how many there are. */
interface Found extends Row {
  total?: number | undefined
}

function findRows(part: string, limit: number, offset: number): Found[] {
  if ([...part].length < 3) return compare.all(pattern(part), limit, offset) as unknown as Found[]
  return search.all(phrase(part), limit, offset) as unknown as Found[]
}

serve({
  findActor: (session, user) => actor.get(session, user) as Actor | undefined,
  find: (publicId) => find.get(publicId) as Item | undefined,
  list: (limit, offset) => ({
    rows: list.all(limit, offset) as unknown as Row[],
    total: (count.get() as { total: number }).total,
  }),
  search(part, limit, offset) {
    const rows = findRows(part, limit, offset)
    // Behind the last page there is no row to tell it.
    const [first] = rows.length === 0 && offset > 0 ? findRows(part, 1, 0) : rows
    const total = first?.total ?? 0
    for (const row of rows) row.total = undefined
    return { rows, total }
  },
  add(owner, { name, description, status, priority }) {
    const texts = [fold(name), description === null ? null : fold(description)]
    const row = add.get(name, description, status, priority, owner.id, owner.public_id, ...texts)
    return row as unknown as Item
  },
  change(publicId, { name = null, description, status = null, priority = null }, { id }, any) {
    const texts = [name === null ? null : fold(name), typeof description === 'string' ? fold(description) : null]
    const given = [Number(description !== undefined), description ?? null]
    return change.get(publicId, id, Number(any), name, ...given, status, priority, ...texts) as Item | undefined
  },
  remove: (publicId, { id }, any) => remove.run(publicId, id, Number(any)).changes === 1,
})
