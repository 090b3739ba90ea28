// The limit on PostgreSQL: `pg` with named statements, so that the server parses each once for each connection.
import pg from 'pg'
import { fold } from '../../src/core/fold.ts'
import { serve, type Actor, type Item, type Row } from './http.ts'

/** As many connections as the template has. */
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL']!, max: 10 })
// ISO 8601 with milliseconds, ready to be sent.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (value) => new Date(value).toISOString())
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

const columns = `public_id, name, description, status, priority, created_at, updated_at,
  (select users.public_id from users where users.id = items.owner_id) as owner_id`
const single = `version, ${columns}`
const live = 'items where deleted_at is null'
const newest = 'order by created_at desc, id desc'

const statements = {
  actor: `select users.id, users.public_id, users.role, users.is_verified, sessions.public_id as session_id
    from sessions join users on users.id = sessions.user_id
    where sessions.public_id = $1 and users.public_id = $2 and users.is_active and users.deleted_at is null
      and revoked_at is null and expires_at > now() and idle_expires_at > now()`,
  find: `select ${single} from ${live} and public_id = $1`,
  list: `select id, ${columns} from ${live} ${newest} limit $1 offset $2`,
  count: `select count(*) as total from ${live}`,
  search: `with found as materialized (
      select * from ${live} and (name_folded like $1 or description_folded like $1))
    select id, ${columns}, (select count(*) from found) as total from found as items ${newest} limit $2 offset $3`,
  add: `insert into items (name, description, status, priority, owner_id, name_folded, description_folded)
    values ($1, $2, $3, $4, $5, $7, $8)
    returning public_id, version, name, description, status, priority, created_at, updated_at, $6::uuid as owner_id`,
  change: `update items set name = coalesce($4, name), description = case when $5 then $6 else description end,
      status = coalesce($7, status), priority = coalesce($8, priority), updated_at = now(), version = version + 1,
      name_folded = coalesce($9, name_folded), description_folded = case when $5 then $10 else description_folded end
    where deleted_at is null and public_id = $1 and (owner_id = $2 or $3) returning ${single}`,
  remove: `update items set deleted_at = now(), version = version + 1
    where deleted_at is null and public_id = $1 and (owner_id = $2 or $3) returning id`,
}

/** A row of a search says how many there are. */
interface Found extends Row {
  total?: number | undefined
}

async function query<T extends object>(name: keyof typeof statements, values: unknown[]): Promise<T[]> {
  return (await pool.query<T>({ name, text: statements[name], values })).rows
}

const pattern = (part: string) => `%${fold(part).replaceAll(/[\\%_]/g, String.raw`\$&`)}%`

serve({
  findActor: async (session, user) => (await query<Actor>('actor', [session, user]))[0],
  find: async (publicId) => (await query<Item>('find', [publicId]))[0],
  async list(limit, offset) {
    const [rows, [counted]] = await Promise.all([
      query<Row>('list', [limit, offset]),
      query<{ total: number }>('count', []),
    ])
    return { rows, total: counted!.total }
  },
  async search(part, limit, offset) {
    const rows = await query<Found>('search', [pattern(part), limit, offset])
    // Behind the last page there is no row to tell it.
    const [first] = rows.length === 0 && offset > 0 ? await query<Found>('search', [pattern(part), 1, 0]) : rows
    const total = first?.total ?? 0
    for (const row of rows) row.total = undefined
    return { rows, total }
  },
  async add(owner, { name, description, status, priority }) {
    const texts = [fold(name), description === null ? null : fold(description)]
    const values = [name, description, status, priority, owner.id, owner.public_id, ...texts]
    return (await query<Item>('add', values))[0]!
  },
  async change(publicId, { name, description, status, priority }, actor, any) {
    const texts = [name === undefined ? null : fold(name), typeof description === 'string' ? fold(description) : null]
    const isGiven = description !== undefined
    const values = [publicId, actor.id, any, name, isGiven, description, status, priority, ...texts]
    return (await query<Item>('change', values))[0]
  },
  remove: async (publicId, actor, any) => (await query('remove', [publicId, actor.id, any])).length > 0,
})
