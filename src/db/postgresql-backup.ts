import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { BackupError, writeWhole } from './backup.ts'
import { migrationTable } from './migrations.ts'
import { dropStatements, migrationLock } from './postgresql.ts'

// By PostgreSQL's own programs, which must be as new as the server at least.

/** Dumps the database into a new file, in PostgreSQL's compressed format. @throws BackupError */
export async function backup(url: string, file: string): Promise<void> {
  await writeWhole(file, async (draft, ended) => {
    await finished(start('pg_dump', ['--format=custom', `--file=${draft}`, ...connection(url)], url, ended))
  })
}

/**
 * Replaces everything in the database by what a backup holds, in one transaction.
 * @throws BackupError when the file is no backup, or PostgreSQL refuses a part of it
 */
export async function restore(url: string, file: string): Promise<void> {
  if (!existsSync(file)) throw new BackupError(`There is no file ${file}`)
  // In full: a name that begins with a dash would be taken for an option.
  const archive = resolve(file)
  const listed = start('pg_restore', ['--list', archive], url)
  const [content] = await Promise.all([text(listed.stdout!), finished(listed)])
  if (!content.includes(` ${migrationTable} `)) throw new BackupError(`${file} is no backup of this service`)

  const folder = mkdtempSync(join(tmpdir(), 'restore-'))
  try {
    const list = join(folder, 'list')
    // An extension may be somebody else's, who alone may comment on it.
    writeFileSync(list, content.replaceAll(/^\d+; \d+ \d+ COMMENT - EXTENSION .*$/gm, ''))
    await replay(url, archive, list)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Replays what stands in a list of the archive's content, after everything that is there was dropped. */
async function replay(url: string, file: string, list: string): Promise<void> {
  // Terse: the details of an error would quote the row at fault.
  const options = ['--no-psqlrc', '--quiet', '--output=/dev/null', '--set=ON_ERROR_STOP=1', '--set=VERBOSITY=terse']
  const psql = start('psql', [...options, ...connection(url)], url)
  // It ends early when PostgreSQL refuses something; what that was, `finished` tells.
  psql.stdin!.on('error', () => {})
  const done = finished(psql)
  psql.stdin!.write(`begin;\nset local client_min_messages = error;\n${migrationLock};\n${dropStatements} \\gexec\n`)
  const archive = start('pg_restore', ['--no-owner', `--use-list=${list}`, '--file=-', file], url)
  archive.stdout!.pipe(psql.stdin!, { end: false })
  let isWhole = false
  try {
    await Promise.race([finished(archive), done])
    isWhole = true
    psql.stdin!.write('\ncommit;\n')
  } finally {
    // Without its commit, whatever came through is undone.
    psql.stdin!.end()
    archive.kill()
    // The first complaint is the cause.
    await (isWhole ? done : done.catch(() => {}))
  }
}

/** Starts one of PostgreSQL's programs. The password goes through the environment: arguments can be read by everybody. */
function start(program: string, parameters: string[], url: string, signal?: AbortSignal): ChildProcess {
  const { searchParams, password } = new URL(url)
  const secret = searchParams.get('password') ?? decodeURIComponent(password)
  return spawn(program, parameters, {
    signal,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...environmentOfPrograms(),
      LC_ALL: 'C',
      PGAPPNAME: 'app',
      ...(secret && { PGPASSWORD: secret }),
    },
  })
}

/** What PostgreSQL's programs may want of our environment; it holds secrets that are none of their business. */
const environmentOfPrograms = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => /^(PATH|HOME|TMPDIR|SystemRoot|SSL_CERT_\w+|PG\w+)$/.test(name)),
  )

/** The arguments that say which database. */
function connection(address: string): string[] {
  const url = new URL(address)
  const { searchParams } = url
  url.password = ''
  const mode = sslMode(searchParams)
  for (const name of ['password', 'ssl', 'uselibpqcompat']) searchParams.delete(name)
  if (mode !== undefined) searchParams.set('sslmode', mode)
  // The driver trusts the system's authorities where no other is named.
  if (mode === 'verify-full' && !searchParams.has('sslrootcert')) searchParams.set('sslrootcert', 'system')
  // `searchParams` writes a space as a plus, which stays a plus for PostgreSQL's programs.
  url.search = url.search.replaceAll('+', '%20')
  return ['--no-password', `--dbname=${url.href}`]
}

/**
 * What PostgreSQL's programs call what the driver does: it checks the certificate and its name in every mode but
 * these two. Under the same word they would send the password to strangers.
 */
function sslMode(parameters: URLSearchParams): string | undefined {
  const mode = parameters.get('sslmode') ?? undefined
  if (mode === 'disable' || parameters.get('uselibpqcompat') === 'true') return mode
  if (mode === 'no-verify') return 'require'
  const isWanted = mode !== undefined || ['true', '1'].includes(parameters.get('ssl') ?? '')
  return isWanted || ['sslrootcert', 'sslcert', 'sslkey'].some((name) => parameters.has(name))
    ? 'verify-full'
    : undefined
}

/** Waits for a program's end. @throws BackupError in its own words, or when it is not installed */
async function finished(program: ChildProcess): Promise<void> {
  const name = program.spawnfile
  const complaints = text(program.stderr!)
  try {
    const [code] = (await once(program, 'close')) as [number | null]
    if (code !== 0) throw new BackupError(`${name}: ${oneLine(await complaints) || `ended with ${code}`}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new BackupError(
      `${name} is not installed: it comes with PostgreSQL's client programs, of the server's version or later`,
      { cause: error },
    )
  }
}

const oneLine = (output: string) =>
  output
    .trim()
    .split('\n')
    .map((line) => line.replace(/^\w+: (error: )?/, '').trim())
    .join('; ')
