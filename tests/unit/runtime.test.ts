import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { expect, test } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'

const guard = join(projectRoot, 'tools/require-node.js')
const packageJson = (folder: string) =>
  JSON.parse(readFileSync(join(projectRoot, folder, 'package.json'), 'utf8')) as {
    version: string
    scripts: Record<string, string>
    engines: { node: string }
    optionalDependencies: Record<string, string>
  }
const majorOf = (version: string) => Number(version.split('.')[0])
const needed = majorOf(packageJson('.').engines.node.slice('>='.length))

const run = (node: string, ...parameters: string[]) => {
  const { status, stdout, stderr } = spawnSync(node, parameters, { encoding: 'utf8' })
  return { status, stdout, stderr }
}

/** A Node.js of this machine that is too old for the project, where there is one. */
const tooOld = (process.env['PATH'] ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .map((folder) => join(folder, 'node'))
  .find((node) => existsSync(node) && majorOf(run(node, '-p', 'process.versions.node').stdout) < needed)

const refusal = (version: string) =>
  `This needs Node.js ${needed} or later, and runs on ${version}.\nStart it with "npm start": npm scripts use the Node.js that "npm ci" installed. With "--omit=dev" install Node.js yourself.\n`

test('the tests run on a Node.js that the project supports', () => {
  expect(majorOf(process.versions.node)).toBeGreaterThanOrEqual(needed)
  expect(run(process.execPath, guard)).toEqual({ status: 0, stdout: '', stderr: '' })
})

test('the pinned Node.js is one version everywhere, and new enough', () => {
  const { version, optionalDependencies } = packageJson('tools/node-runtime')
  expect(majorOf(version)).toBeGreaterThanOrEqual(needed)
  expect(new Set(Object.values(optionalDependencies))).toEqual(new Set([version]))
})

test('the dev container has the pinned Node.js', () => {
  const { image } = JSON.parse(readFileSync(join(projectRoot, '.devcontainer/devcontainer.json'), 'utf8')) as {
    image: string
  }
  expect(image).toBe(`node:${majorOf(packageJson('tools/node-runtime').version)}`)
})

test('every way to start the program asks for the right Node.js first', () => {
  const { scripts } = packageJson('.')
  for (const name of ['start', 'dev', 'app'])
    expect(scripts[name]).toMatch(/^exec node (--max-semi-space-size=2 )?--import \.\/tools\/require-node\.js /)
})

test.for(['20.20.2', '4.9.1'])('on Node.js %s the program says what to do and ends with 1', (version) => {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '${version}' })`
  const result = run(process.execPath, '--import', pretend, '--import', guard, '-e', 'console.log("started")')
  expect(result).toEqual({ status: 1, stdout: '', stderr: refusal(version) })
})

test.skipIf(!tooOld)('a Node.js that is really too old says so, rather than fail on TypeScript', () => {
  const version = run(tooOld!, '-p', 'process.versions.node').stdout.trim()
  const result = run(tooOld!, '--import', guard, join(projectRoot, 'src/main.ts'))
  expect(result).toEqual({ status: 1, stdout: '', stderr: refusal(version) })
})
