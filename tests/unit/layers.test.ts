import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'

/** A file of each layer, and of what stands above them all. */
const files: Record<string, string> = {
  controllers: '../controllers/item.controller.ts',
  services: '../services/item.service.ts',
  repositories: '../repositories/item.repository.ts',
  models: '../models/item.model.ts',
  enums: '../models/enums.ts',
  schemas: '../schemas/item.schema.ts',
  core: '../core/config.ts',
  db: '../db/database.ts',
  wiring: '../wiring.ts',
  app: '../app.ts',
}

const orm = '@mikro-orm/core @mikro-orm/sql kysely kysely/helpers/postgres pg node:sqlite'
const http = 'fastify @fastify/cors node:http node:https http'

/** What each layer must not import. The first is also tried as a type, as a re-export, at run time and from a subfolder. */
const forbidden: Record<string, string> = {
  controllers: `repositories models db app ${orm}`,
  services: `controllers models wiring app ${http} ${orm}`,
  repositories: `services controllers schemas wiring app ${http}`,
  models: `repositories services controllers schemas core db wiring app pg ${http}`,
  schemas: `models repositories services controllers core db wiring app ${http} ${orm}`,
  core: `services controllers repositories schemas models db wiring app ${orm}`,
  db: `services controllers schemas wiring app ${http}`,
}

const allowed: Record<string, string> = {
  controllers: 'services schemas core wiring fastify',
  services: 'repositories schemas core enums db',
  repositories: 'models enums db core kysely',
  models: 'enums @mikro-orm/core',
  schemas: 'schemas enums zod',
  core: 'enums core fastify zod',
  db: 'repositories models core kysely pg @mikro-orm/core',
}

interface Diagnostic {
  code: string
  filename: string
}

const layerRule = 'eslint(no-restricted-imports)'
const cycleRule = 'import(no-cycle)'

/** Runs the linter over `src` of a folder. Gives the files at fault under a rule. */
function lint(folder: string): Promise<(rule: string) => string[]> {
  const linter = join(projectRoot, 'node_modules/oxlint/bin/oxlint')
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [linter, '--format', 'json', 'src'],
      { cwd: folder, maxBuffer: 1e8 },
      (error, output) => {
        if (error && !output) return reject(error)
        const { diagnostics } = JSON.parse(output) as { diagnostics: Diagnostic[] }
        resolve((rule) =>
          diagnostics
            .filter(({ code }) => code === rule)
            .map(({ filename }) => filename)
            .toSorted(),
        )
      },
    )
  })
}

describe('the linter', () => {
  const folder = mkdtempSync(join(tmpdir(), 'layers-'))
  let faults: (rule: string) => string[]
  let planted = 0

  /** Writes a file of a layer that imports something. Gives its name. */
  function plant(layer: string, content: string): string {
    const name = `src/${layer}/planted${++planted}.ts`
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
    return name
  }
  const plantAll = (table: Record<string, string>) =>
    Object.entries(table).flatMap(([layer, names]) =>
      names
        .split(' ')
        .map((name) => plant(layer, `import { thing } from '${files[name] ?? name}'\n\nexport const other = thing\n`)),
    )

  const violations = plantAll(forbidden)
  const permitted = plantAll(allowed)
  const disguised = Object.entries(forbidden).flatMap(([layer, names]) => {
    const [name] = names.split(' ') as [string]
    const source = files[name] ?? name
    return [
      plant(layer, `import type { Thing } from '${source}'\n\nexport type Other = Thing\n`),
      plant(layer, `import { type Thing } from '${source}'\n\nexport type Other = Thing\n`),
      plant(layer, `export * from '${source}'\n`),
      plant(layer, `export const thing = () => import('${source}')\n`),
      plant(`${layer}/deeper`, `import { thing } from '../${source}'\n\nexport const other = thing\n`),
    ]
  })
  const cycle = [
    plant('services', `import { two } from './planted${planted + 2}.ts'\n\nexport const one = () => two\n`),
    plant('services', `import { one } from './planted${planted}.ts'\n\nexport const two = () => one\n`),
  ]

  beforeAll(async () => {
    for (const name of ['oxlint.config.ts', 'tsconfig.json', 'package.json', '.gitignore'])
      cpSync(join(projectRoot, name), join(folder, name))
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'), 'junction')
    faults = await lint(folder)
  }, 30_000)
  afterAll(() => rmSync(folder, { recursive: true }))

  test('catches every import that the layer rule forbids, and no other', () => {
    const found = faults(layerRule)
    const lines = (names: string[]) =>
      names.map((name) => readFileSync(join(folder, name), 'utf8').replace(/\n.*/s, ` in ${name}`))
    expect(lines([...violations, ...disguised].filter((name) => !found.includes(name)))).toEqual([])
    expect(lines(permitted.filter((name) => found.includes(name)))).toEqual([])
  })

  test('catches a cycle', () => {
    expect(faults(cycleRule)).toEqual(cycle.toSorted())
  })

  test('finds neither in this project', async () => {
    const found = await lint(projectRoot)
    expect([...found(layerRule), ...found(cycleRule)]).toEqual([])
  }, 30_000)
})
