import pg from 'pg'
const pool = new pg.Pool({ connectionString: process.argv[2], max: 10 })
const N = 20000
const text = 'select "public_id", "name", "description", "status", "priority", "created_at", "updated_at", (select "users"."public_id" from "users" where "users"."id" = "items"."owner_id") as "owner_id" from "items" where "items"."deleted_at" is null and "public_id" = $1'
const { rows: [{ public_id }] } = await pool.query('select public_id from items')
for (let round = 0; round < 4; round++) {
  const cpu = process.cpuUsage()
  for (let i = 0; i < N; i += 20) await Promise.all(Array.from({ length: 20 }, () => pool.query({ name: 'a', text, values: [public_id] })))
  const { user, system } = process.cpuUsage(cpu)
  console.log(((user + system) / N).toFixed(2), 'µs each')
}
await pool.end()
