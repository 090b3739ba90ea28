import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { projectRoot } from '../../src/core/config.ts'
import { settings } from '../../src/core/settings.ts'

const read = (file: string) => readFileSync(join(projectRoot, file), 'utf8')
const unit = read('deploy/app.service')
const manifests = read('deploy/kubernetes.yaml')
const compose = read('compose.yaml')
const numberIn = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1])

/** What a stopping server takes at most: the requests' own limit, and what a supervisor takes beyond it. */
const stopping = settings.SHUTDOWN_TIMEOUT_SECONDS.def.defaultValue + 6

describe('the files in deploy/', () => {
  test('wait longer than the server takes to stop', () => {
    expect(numberIn(unit, /^TimeoutStopSec=(\d+)$/m)).toBeGreaterThan(stopping)
    const delay = numberIn(manifests, /SHUTDOWN_DELAY_SECONDS, value: '(\d+)'/)
    expect(numberIn(manifests, /terminationGracePeriodSeconds: (\d+)/)).toBeGreaterThan(delay + stopping)
    const composed = numberIn(compose, /SHUTDOWN_DELAY_SECONDS: (\d+)/)
    expect(numberIn(compose, /stop_grace_period: (\d+)s/)).toBeGreaterThan(composed + stopping)
  })

  test('name settings and files that exist', () => {
    const variables = [...`${unit}\n${manifests}`.matchAll(/\b(?!AF_)[A-Z]+(?:_[A-Z]+)+\b/g)].map(([name]) => name)
    expect(variables).toContain('DATABASE_URL')
    expect(variables.filter((name) => !(name in settings))).toEqual([])
    for (const file of unit.match(/\b(src|tools)\/[\w./-]+\.[jt]s\b/g) ?? []) expect(() => read(file)).not.toThrow()
    const probes = [...manifests.matchAll(/path: (\/[\w/]+)/g)].map(([, path]) => path)
    expect(new Set(probes)).toEqual(new Set(['/health/live', '/health/ready']))
    expect(manifests).toContain(`containerPort: ${settings.PORT.def.defaultValue} `)
  })
})
