// Holds the OpenAPI document against Redocly's recommended rules: the same engine as "redocly lint".
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { withOfflineApp } from '../src/commands/offline-app.ts'

let source = ''
await withOfflineApp(
  async (app) => {
    source = (await app.inject('/api/docs/openapi.json')).body
  },
  { DOCS_ENABLED: 'true' },
)

const problems = await lintFromString({
  source,
  absoluteRef: 'openapi.json',
  config: await createConfig({ extends: ['recommended'] }),
})
for (const { severity, ruleId, message, location } of problems) {
  console.error(`${severity} ${ruleId} ${location[0]?.pointer ?? ''}: ${message}`)
}
if (problems.length > 0) process.exit(1)
console.log('The OpenAPI document follows the recommended rules.')
