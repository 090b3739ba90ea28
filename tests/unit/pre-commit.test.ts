import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'

const hasGit = spawnSync('git', ['--version']).status === 0
const good = 'export const answer = 42\n'
const faults = {
  format: 'export const answer = 42;\n',
  lint: 'export const answer = (text: string) => text == `42`\n',
  types: `export const answer: number = '42'\n`,
}
const words = { format: 'Format issues', lint: 'eqeqeq', types: 'TS2322' }

describe.skipIf(!hasGit)('the pre-commit hook', { timeout: 60_000 }, () => {
  /** A repository with the project's hook, commands and rules, and with little to check. */
  const folder = mkdtempSync(join(tmpdir(), 'pre-commit-'))
  const file = join(folder, 'src/answer.ts')

  /** Runs a program as a developer would, and without what a git that runs this test has set. */
  function run(...[program, ...parameters]: [string, ...string[]]) {
    const author = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.com' }
    const committer = { GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.com' }
    const env = { PATH: process.env['PATH'], HOME: folder, GIT_CONFIG_NOSYSTEM: '1', ...author, ...committer }
    const { status, stdout, stderr } = spawnSync(program, parameters, { cwd: folder, env, encoding: 'utf8' })
    return { ok: status === 0, output: stdout + stderr }
  }
  const git = (...parameters: string[]) => run('git', ...parameters)
  const commits = () => Number(git('rev-list', '--count', 'HEAD').output)
  const stage = (text: string) => {
    writeFileSync(file, text)
    expect(git('add', '.').ok).toBe(true)
  }
  const commit = (...parameters: string[]) => git('commit', '-q', '-m', 'Try', ...parameters)

  beforeAll(() => {
    const copied = [
      '.githooks',
      '.gitignore',
      '.npmrc',
      '.oxfmtrc.json',
      'oxlint.config.ts',
      'package.json',
      'tsconfig.json',
    ]
    for (const name of copied) cpSync(join(projectRoot, name), join(folder, name), { recursive: true })
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'), 'junction')
    // The ignored name is that of a folder, and this is a link.
    writeFileSync(join(folder, '.gitignore'), 'node_modules\n')
    mkdirSync(join(folder, 'src'))
    git('init', '-q')
    stage(good)
    commit()
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('does nothing until it is switched on', () => {
    stage(faults.types)
    expect(commit()).toEqual({ ok: true, output: '' })
  })

  test('is switched on by npm run hooks', () => {
    stage(good)
    commit()
    expect(run('npm', 'run', '-s', 'hooks').ok).toBe(true)
    expect(git('config', 'core.hooksPath').output).toBe('.githooks\n')
  })

  test.for(['format', 'lint', 'types'] as const)('refuses a fault of %s, tells it, and changes nothing', (kind) => {
    const text = faults[kind]
    const before = commits()
    stage(text)
    const index = git('write-tree').output
    expect(commit()).toEqual({ ok: false, output: expect.stringContaining(words[kind]) })
    expect(commits()).toBe(before)
    expect(git('write-tree').output).toBe(index)
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  test('looks at what is staged, whatever the working tree holds', () => {
    stage(faults.types)
    writeFileSync(file, good)
    expect(commit().output).toContain(words.types)
    stage(`// A comment.\n${good}`)
    writeFileSync(file, faults.types)
    expect(commit()).toMatchObject({ ok: true })
    expect(readFileSync(file, 'utf8')).toBe(faults.types)
  })

  test('is passed by with --no-verify, and switched off again', () => {
    stage(faults.types)
    expect(commit('--no-verify').ok).toBe(true)
    expect(git('config', '--unset', 'core.hooksPath').ok).toBe(true)
    stage(faults.lint)
    expect(commit()).toEqual({ ok: true, output: '' })
  })
})
