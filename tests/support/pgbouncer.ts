import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './ports.ts'
import { unprivileged, untilReady } from './postgresql.ts'

/** Starts a real PgBouncer in transaction mode in front of a PostgreSQL. `url` is the same database through it. */
export async function startPgbouncer(postgresql: string): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'pgbouncer-'))
  chmodSync(folder, 0o755)
  const behind = new URL(postgresql)
  const url = new URL(postgresql)
  url.port = String(await freePort())
  const limits = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
  const configuration = `
[databases]
* = host=${behind.hostname} port=${behind.port} connect_query='${limits.map((name) => `set ${name} = 10000`).join('; ')}'
[pgbouncer]
listen_addr = ${url.hostname}
listen_port = ${url.port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(folder, 'users.txt')}
auth_user = ${behind.username}
pool_mode = transaction
ignore_startup_parameters = ${limits.join(', ')}, options
max_client_conn = 1000
server_idle_timeout = 5
server_login_retry = 1
query_wait_timeout = 10
`
  writeFileSync(join(folder, 'pgbouncer.ini'), configuration)
  // The other roles are asked for in the database.
  writeFileSync(join(folder, 'users.txt'), `"${behind.username}" ""\n`)
  const server = spawn('pgbouncer', ['--quiet', join(folder, 'pgbouncer.ini')], { ...unprivileged, stdio: 'ignore' })
  await untilReady(url.href)
  return {
    url: url.href,
    async stop() {
      const ended = once(server, 'exit')
      server.kill('SIGINT')
      await ended
      rmSync(folder, { recursive: true })
    },
  }
}
