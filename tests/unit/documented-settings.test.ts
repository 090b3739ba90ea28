import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'

const written = ['.env.example', 'docs/configuration.md']
const files = [...written, 'src/core/settings.ts', 'src/core/setting-forms.ts']

const check = (folder: string) => {
  const { status, stderr } = spawnSync(process.execPath, ['tools/document-settings.ts', '--check'], {
    cwd: folder,
    encoding: 'utf8',
  })
  return { status, stderr }
}
const complaint = (...names: string[]) => ({
  status: 1,
  stderr: names
    .map((name) => `${name} is out of step with src/core/settings.ts: run "npm run docs:settings"\n`)
    .join(''),
})

test('.env.example and docs/configuration.md are in step with the settings', () => {
  expect(check(projectRoot)).toEqual({ status: 0, stderr: '' })
})

/** In a copy of the project, never in the project itself. */
const folder = mkdtempSync(join(tmpdir(), 'settings-'))
const copyFiles = () => {
  for (const name of files) cpSync(join(projectRoot, name), join(folder, name))
}
beforeAll(() => {
  for (const name of ['src', 'tools', 'package.json'])
    cpSync(join(projectRoot, name), join(folder, name), { recursive: true })
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'), 'junction')
  copyFiles()
})
afterEach(copyFiles)
afterAll(() => rmSync(folder, { recursive: true }))

test.for([
  ['a changed default', 'src/core/settings.ts', '.default(5000)', '.default(5001)', written],
  [
    'a new setting',
    'src/core/settings.ts',
    '  PORT:',
    `  COLOUR: text.default('red').describe('New.'),\n  PORT:`,
    written,
  ],
  ['a setting taken away', 'src/core/settings.ts', '  PORT:', '  POST:', written],
  ['a line lost from .env.example', '.env.example', '# PORT=5000\n', '', ['.env.example']],
  ['another word on the page', 'docs/configuration.md', 'The port to listen on', 'The port', ['docs/configuration.md']],
] as const)('%s is found, and left to its author', ([, name, from, to, outOfStep]) => {
  const planted = readFileSync(join(folder, name), 'utf8').replace(from, to)
  expect(planted).not.toBe(readFileSync(join(projectRoot, name), 'utf8'))
  writeFileSync(join(folder, name), planted)
  expect(check(folder)).toEqual(complaint(...outOfStep))
  expect(readFileSync(join(folder, name), 'utf8')).toBe(planted)
})
