import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/commands/program.ts'
import { projectRoot } from '../../src/core/config.ts'
import { settings } from '../../src/core/settings.ts'
import { encryptedColumns } from '../../src/models/encrypted.ts'

const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8')
const page = read('docs/security.md')
const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts
const all = (pattern: RegExp, text = page) => [...new Set([...text.matchAll(pattern)].map((found) => found[1]!))]

/** docs/security.md is only worth something while it is true. */
describe('the page on security', () => {
  test('names tests and files that exist, and each test under its own name', () => {
    const links = [...page.matchAll(/\[([^\]]+)\]\((\.\.\/[^)]+)\)/g)].map(([, name, file]) => [name!, file!] as const)
    expect(links.length).toBeGreaterThan(80)
    expect(links.filter(([, file]) => !existsSync(join(projectRoot, 'docs', file)))).toEqual([])
    const misnamed = links.filter(([name, file]) => file.endsWith('.test.ts') && !file.endsWith(`/${name}.test.ts`))
    expect(misnamed).toEqual([])
  })

  test('has a source and a test for every promise', () => {
    const tables = page.split('## What is protected')[1]!.split('\n## ')[0]!
    const promises = tables
      .split('\n')
      .filter((line) => /^\|(?! *(what|-)[ -])/.test(line))
      .map((line) => line.split('|').map((cell) => cell.trim()))
    expect(promises.length).toBeGreaterThan(60)
    const bare = promises.filter(
      ([, what, source, tests]) => !what || !/A\d+\.\d+\.\d+|RFC \d+/.test(source!) || !tests!.includes('.test.ts)'),
    )
    expect(bare).toEqual([])
  })

  test('links every test that is about security alone', () => {
    const own = ['unit', 'integration'].flatMap((folder) =>
      readdirSync(join(projectRoot, 'tests', folder))
        .filter((file) => /^security-.+\.test\.ts$/.test(file))
        .map((file) => `../tests/${folder}/${file}`),
    )
    expect(own.length).toBeGreaterThan(8)
    expect(own.filter((file) => !page.includes(`(${file})`))).toEqual([])
  })

  test('names commands and settings that exist', () => {
    const commands = all(/`npm run ([\w:-]+)/g)
    expect(commands).toEqual(expect.arrayContaining(['db:migrate']))
    expect(commands.filter((name) => !(name in scripts))).toEqual([])
    const known = createProgram().commands.flatMap((group) =>
      group.commands.map((command) => `${group.name()} ${command.name()}`),
    )
    const own = all(/`npx app ([a-z-]+ [a-z-]+)/g)
    expect(own).toEqual(expect.arrayContaining(['keys rotate', 'users set-role']))
    expect(own.filter((name) => !known.includes(name))).toEqual([])
    const named = all(/`([A-Z][A-Z\d]*(?:_[A-Z\d]+)+)(?:=[^`]*)?`/g)
    expect(named.length).toBeGreaterThan(15)
    expect(named.filter((name) => !(name in settings))).toEqual([])
  })

  test('lists every security event, and every encrypted column', () => {
    const events = all(/\| '([a-z]+\.[a-z_]+)'/g, read('src/core/audit.ts'))
    expect(events.length).toBeGreaterThan(10)
    expect(
      all(/`([a-z]+\.[a-z_]+)`/g)
        .filter((name) => !name.endsWith('ip'))
        .toSorted(),
    ).toEqual(events.toSorted())
    const columns = Object.entries(encryptedColumns).flatMap(([table, names]) =>
      names.map((name) => `${table}.${name}`),
    )
    expect(all(/`([a-z_]+\.[a-z_]*ip)`/g).toSorted()).toEqual(columns.toSorted())
  })
})
