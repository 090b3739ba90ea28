import fastify from 'fastify'
import { beforeAll, describe, expect, test } from 'vitest'
import { controllers } from '../../src/controllers/index.ts'
import type { ZodTypeProvider } from '../../src/core/http/validation.ts'
import { version } from '../../src/core/version.ts'
import { useApi } from '../support/api.ts'

interface Operation {
  operationId: string
  summary: string
  description: string
  tags: string[]
  security: object[]
  parameters: { name: string; in: string; required: boolean; schema: object }[]
  responses: Record<string, object>
}
interface Document {
  openapi: string
  info: { title: string; version: string }
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  components: { securitySchemes: object; schemas: Record<string, { properties: object }> }
}

describe('the API document', () => {
  const api = useApi('sqlite', { APP_NAME: 'Fox <& Co>' })
  let document: Document
  let operations: [name: string, operation: Operation][]
  beforeAll(async () => {
    document = (await api.get('/api/docs/openapi.json')).body
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [
        `${method.toUpperCase()} ${path}`,
        operation,
      ]),
    )
  })

  test('is OpenAPI 3.1, and names the service and its version', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d$/)
    expect(document.info).toMatchObject({ title: 'Fox <& Co>', version })
  })

  test('tells of every route there is, and of no other', () => {
    const registered: string[] = []
    const app = fastify().withTypeProvider<ZodTypeProvider>()
    app.addHook('onRoute', ({ method, url }) => {
      if (method !== 'HEAD') registered.push(`${String(method)} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
    })
    for (const register of controllers) register(app, api.services)
    expect(operations.map(([name]) => name).toSorted()).toEqual(registered.toSorted())
  })

  test('describes every operation, each under an id of its own', () => {
    const tags = document.tags.map(({ name }) => name)
    for (const [, operation] of operations) {
      expect(operation).toMatchObject({
        operationId: expect.stringMatching(/^[a-z]\w+$/i),
        summary: expect.stringMatching(/\w+/),
        description: expect.stringMatching(/\w+/),
        tags: [expect.toBeOneOf(tags)],
        security: expect.any(Array),
      })
      expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['400', '500', '503']))
    }
    const ids = operations.map(([, { operationId }]) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('says truly who must sign in', async () => {
    for (const [name, { security }] of operations) {
      const [method, path] = name.split(' ') as [string, string]
      const { status } = await api.request(method, path.replace(/\{\w+\}/, '00000000-0000-4000-8000-000000000000'))
      const mustSignIn = security.length > 0 && security.every((way) => 'bearer' in way)
      expect([name, status === 401]).toEqual([name, mustSignIn])
    }
    const untold = operations.filter(([, { security, responses }]) => security.length > 0 && !('401' in responses))
    expect(untold).toEqual([])
    expect(document.components.securitySchemes).toMatchObject({ bearer: { type: 'http', scheme: 'bearer' } })
  })

  test('tells the limits that are enforced', () => {
    const { parameters } = document.paths['/api/v1/items/search']!['get']!
    expect(parameters.slice(0, 3)).toMatchObject([
      { name: 'q', in: 'query', required: true, schema: { type: 'string', minLength: 1, maxLength: 100 } },
      { name: 'page', required: false, schema: { type: 'integer', minimum: 1 } },
      { name: 'per_page', required: false, schema: { type: 'integer', minimum: 1, maximum: 100, default: 20 } },
    ])
    expect(document.components.schemas['ItemCreate']).toMatchObject({
      required: ['name'],
      additionalProperties: false,
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 100 },
        description: { type: ['string', 'null'], maxLength: 10_000, default: null },
        status: { enum: ['draft', 'active', 'archived'], default: 'draft' },
        priority: { type: 'integer', minimum: 1, maximum: 5, default: 1 },
      },
    })
  })

  test('never speaks of an integer key', () => {
    const fields = Object.values(document.components.schemas).flatMap(({ properties }) => Object.keys(properties))
    expect(fields).toContain('public_id')
    expect(fields).not.toContain('id')
  })

  describe('in Swagger UI', () => {
    test('the short address leads to the page', async () => {
      const { status, headers } = await api.get('/api/docs')
      expect(status).toBe(302)
      expect(headers.get('location')).toBe('/api/docs/swagger')
    })

    test('the page runs nothing inline, and the browser is told to refuse it', async () => {
      const { status, headers, text } = await api.get('/api/docs/swagger')
      expect(status).toBe(200)
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect(text).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:/i)
      const policy = headers.get('content-security-policy')!
      expect(policy.split('; ')).toEqual(
        expect.arrayContaining([
          "default-src 'none'",
          "script-src 'self'",
          "style-src 'self'",
          "frame-ancestors 'none'",
        ]),
      )
      expect(policy).not.toContain('unsafe')
    })

    test("the service's name cannot break out of the title", async () => {
      const { text } = await api.get('/api/docs/swagger')
      expect(text).toContain('<title>Fox &#60;&#38; Co&#62;</title>')
    })

    test('everything the page loads is here, and of the right type', async () => {
      const { text } = await api.get('/api/docs/swagger')
      const assets = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address!)
      expect(assets).toHaveLength(4)
      const types: Record<string, string> = {
        css: 'text/css; charset=utf-8',
        js: 'text/javascript; charset=utf-8',
        png: 'image/png',
      }
      for (const asset of assets) {
        expect(asset).toMatch(/^\/api\/docs\/assets\//)
        const { status, headers, text: content } = await api.get(asset)
        expect(status).toBe(200)
        expect(headers.get('content-type')).toBe(types[asset.split('.').at(-1)!])
        expect(headers.get('x-content-type-options')).toBe('nosniff')
        expect(content.length).toBeGreaterThan(100)
      }
    })

    test('no other file of the package can be had', async () => {
      for (const file of ['index.html', 'package.json', '..%2fpackage.json', '%2e%2e%2fpackage.json', ''])
        expect((await api.get(`/api/docs/assets/${file}`)).status).toBe(404)
    })
  })
})

describe('with the documentation switched off', () => {
  const api = useApi('sqlite', { DOCS_ENABLED: 'false' })

  test.for(['/api/docs', '/api/docs/openapi.json', '/api/docs/swagger', '/api/docs/assets/swagger-ui.css'])(
    '%s is not there',
    async (path) => {
      expect((await api.get(path)).status).toBe(404)
    },
  )
})
