// The limit on PostgreSQL: `pg` with named statements, so that the server parses each once for each connection.
import pg from 'pg'
import { serve, type Actor } from './http.ts'

/** As many connections as the template has. */
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL']!, max: 10 })
// ISO 8601 with milliseconds, ready to be sent.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (value) => new Date(value).toISOString())
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

const columns = `public_id, name, description, status, priority, created_at, updated_at,
  (select users.public_id from users where users.id = items.owner_id) as owner_id`
const live = 'items where deleted_at is null'
const newest = 'order by created_at desc, id desc'
const folded = (text: string) => `replace(lower(upper(lower(${text} collate "und-x-icu"))), 'ς', 'σ')`
const matching = `${live} and (${folded('name')} like ${folded('$1')} or ${folded('description')} like ${folded('$1')})`

const statements = {
  actor: `select users.id, users.public_id, users.role, users.is_verified, sessions.public_id as session_id
    from sessions join users on users.id = sessions.user_id
    where sessions.public_id = $1 and users.public_id = $2 and users.is_active and users.deleted_at is null
      and revoked_at is null and expires_at > now() and idle_expires_at > now()`,
  find: `select ${columns} from ${live} and public_id = $1`,
  list: `select ${columns} from ${live} ${newest} limit $1 offset $2`,
  count: `select count(*) as total from ${live}`,
  search: `select ${columns} from ${matching} ${newest} limit $2 offset $3`,
  countMatching: `select count(*) as total from ${matching}`,
  add: `insert into items (name, description, status, priority, owner_id) values ($1, $2, $3, $4, $5)
    returning public_id, name, description, status, priority, created_at, updated_at, $6::uuid as owner_id`,
  change: `update items set name = coalesce($4, name), description = case when $5 then $6 else description end,
      status = coalesce($7, status), priority = coalesce($8, priority), updated_at = now()
    where deleted_at is null and public_id = $1 and (owner_id = $2 or $3) returning ${columns}`,
  remove: `update items set deleted_at = now()
    where deleted_at is null and public_id = $1 and (owner_id = $2 or $3) returning id`,
}

async function query<T extends object>(name: keyof typeof statements, values: unknown[]): Promise<T[]> {
  return (await pool.query<T>({ name, text: statements[name], values })).rows
}

const pattern = (part: string) => `%${part.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`

serve({
  findActor: async (session, user) => (await query<Actor>('actor', [session, user]))[0],
  find: async (publicId) => (await query('find', [publicId]))[0],
  async list(limit, offset) {
    const [rows, [counted]] = await Promise.all([query('list', [limit, offset]), query<{ total: number }>('count', [])])
    return { rows, total: counted!.total }
  },
  async search(part, limit, offset) {
    const sought = pattern(part)
    const [rows, [counted]] = await Promise.all([
      query('search', [sought, limit, offset]),
      query<{ total: number }>('countMatching', [sought]),
    ])
    return { rows, total: counted!.total }
  },
  async add(owner, { name, description, status, priority }) {
    const values = [name, description, status, priority, owner.id, owner.public_id]
    return (await query<{ public_id: string }>('add', values))[0]!
  },
  async change(publicId, { name, description, status, priority }, actor, any) {
    const isGiven = description !== undefined
    return (await query('change', [publicId, actor.id, any, name, isGiven, description, status, priority]))[0]
  },
  remove: async (publicId, actor, any) => (await query('remove', [publicId, actor.id, any])).length > 0,
})
