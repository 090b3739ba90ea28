import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'
import { useProject } from '../support/process.ts'
import { environment } from '../support/settings.ts'

const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
const project = useProject()

/** Changes a file of the copy as the README says, failing if the place is not there. */
function edit(file: string, before: RegExp, after: string): void {
  const text = readFileSync(project.path(file), 'utf8')
  expect(text).toMatch(before)
  writeFileSync(project.path(file), text.replace(before, after))
}

const importOf = (name: string, file: string) => `import { ${name} } from './${file}'\n`

beforeAll(() => {
  cpSync(join(projectRoot, 'tests/support'), project.path('tests/support'), { recursive: true })
  mkdirSync(project.path('tests/integration'))
  for (const [, file, code] of readme.matchAll(/```ts (\S+\.ts)\n(.*?)```/gs)) writeFileSync(project.path(file!), code!)

  edit('src/models/index.ts', /^/, importOf('Note', 'note.model.ts'))
  edit('src/models/index.ts', /(models = \[.*)\]/, '$1, Note]')
  edit('src/controllers/index.ts', /^/, importOf('noteController', 'note.controller.ts'))
  edit('src/controllers/index.ts', /(healthController,?\n?)\]/, 'healthController, noteController]')
  const [, repository, service] = /In `src\/wiring.ts`.*?```ts\n(.*?)```.*?```ts\n(.*?)```/s.exec(readme)!
  edit('src/wiring.ts', /^/, importOf('createNoteRepository', 'repositories/note.repository.ts'))
  edit('src/wiring.ts', /^/, importOf('createNoteService', 'services/note.service.ts'))
  edit('src/wiring.ts', /(?=  const users = )/, `  ${repository}`)
  edit('src/wiring.ts', /(?=    items: )/, `    ${service}`)
})

test('the resource that the README adds compiles, is migrated and works', async () => {
  const written = await project.app(['db', 'migrate', 'Add notes'])
  expect(written.output.match(/wrote .*_add_notes\.ts/g)).toHaveLength(2)
  expect((await project.app(['db', 'check'])).code).toBe(0)
  execFileSync(process.execPath, [join(projectRoot, 'node_modules/typescript/bin/tsc'), '-p', project.folder])

  const address = await project.start({ ...environment, NODE_ENV: 'development' }).address()
  const call = async (method: string, path: string, token?: string, body?: object, tag?: string) => {
    const response = await fetch(address + path, {
      method,
      headers: {
        'content-type': 'application/json',
        ...(token && { authorization: `Bearer ${token}` }),
        ...(tag && { 'if-none-match': tag }),
      },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const etag = response.headers.get('etag')
    return { status: response.status, etag, body: JSON.parse(text || '{}') as { data: Record<string, string> } }
  }
  const signIn = async (email: string) =>
    (await call('POST', '/api/v1/auth/login', undefined, { email, password: 'TestPassword123!' })).body.data[
      'access_token'
    ]!
  const [owner, other] = [await signIn('user@example.com'), await signIn('admin@example.com')]

  const note = await call('POST', '/api/v1/notes', owner, { title: 'Remember' })
  expect(note.status).toBe(201)
  expect(note.body.data).toMatchObject({ title: 'Remember', body: '' })
  const path = `/api/v1/notes/${note.body.data['public_id']}`
  expect((await call('GET', path, owner)).body.data).toEqual(note.body.data)
  expect((await call('GET', path, owner, undefined, note.etag!)).status).toBe(304)
  expect((await call('GET', path, other)).status).toBe(404)
  expect((await call('GET', path)).status).toBe(401)
})
