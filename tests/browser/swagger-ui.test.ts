import { existsSync } from 'node:fs'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Api } from '../support/api.ts'

const candidates = [
  process.env['CHROMIUM_PATH'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
const executablePath = candidates.find((path) => existsSync(path))
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

// In CI a missing browser is a fault, not a reason to skip.
describe.skipIf(!executablePath && !process.env['CI'])('Swagger UI (needs Chromium: set CHROMIUM_PATH)', () => {
  const api = new Api()
  const faults: string[] = []
  const foreign: string[] = []
  let browser: Browser
  let page: Page

  beforeAll(async () => {
    await api.start('sqlite')
    browser = await chromium.launch({ executablePath, args: flags })
    page = await browser.newPage()
    page.on('console', (line) => line.type() === 'error' && faults.push(line.text()))
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(api.address) && !url.startsWith('data:')) foreign.push(url)
    })
  })
  afterAll(async () => {
    await browser?.close()
    await api.stop()
  })

  test('shows every operation, under a strict content policy and without a foreign request', async () => {
    await page.goto(`${api.address}/api/docs/swagger`)
    await page.locator('#operations-items-createItem').waitFor()
    const document = (await (await fetch(`${api.address}/api/docs/openapi.json`)).json()) as {
      paths: Record<string, object>
    }
    const operations = Object.values(document.paths).flatMap((path) => Object.keys(path))
    expect(await page.locator('.opblock').count()).toBe(operations.length)
    expect(foreign).toEqual([])
    expect(faults).toEqual([])
  })

  test('logs in with a Bearer token and creates an item', async () => {
    const { access_token } = await api.account()
    await page.locator('.btn.authorize').first().click()
    await page.locator('.auth-container input').fill(access_token)
    await page.locator('.auth-btn-wrapper .authorize').click()
    await page.locator('.auth-btn-wrapper .btn-done').click()

    const operation = page.locator('#operations-items-createItem')
    await operation.locator('.opblock-summary-control').click()
    await operation.locator('.try-out__btn').click()
    await operation.locator('textarea').fill('{"name": "Made in the browser"}')
    await operation.locator('.execute').click()
    await operation.locator('.live-responses-table .response .response-col_status', { hasText: '201' }).waitFor()
    const item = await api.database.query().selectFrom('items').select('name').executeTakeFirstOrThrow()
    expect(item.name).toBe('Made in the browser')
    expect(faults).toEqual([])
  })

  test('a deep link opens its operation', async () => {
    await page.goto('about:blank')
    await page.goto(`${api.address}/api/docs/swagger#/auth/login`)
    await page.locator('#operations-auth-login.is-open').waitFor()
    expect(foreign).toEqual([])
    expect(faults).toEqual([])
  })
})
