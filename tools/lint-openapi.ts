// Holds the OpenAPI document against Redocly's recommended rules: the same engine as "redocly lint".
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { pino } from 'pino'
import { createApp } from '../src/app.ts'
import { readConfig } from '../src/core/config.ts'
import { openDatabase } from '../src/db/database.ts'
import { createServices } from '../src/wiring.ts'

const config = readConfig({
  DATABASE_URL: 'sqlite:///:memory:',
  SECRET_KEY: 'only for making the document: signs nothing at all',
  JWT_SECRET_KEY: 'only for making the document: signs no token at all',
  ENCRYPTION_KEY: `${Buffer.alloc(32).toString('base64url')}=`,
})
const log = pino({ level: 'silent' })
const database = openDatabase(config)
const app = await createApp(config, createServices(config, database, log), log)
const document = await app.inject('/api/docs/openapi.json')
await app.close()
await database.close()

const problems = await lintFromString({
  source: document.body,
  absoluteRef: 'openapi.json',
  config: await createConfig({ extends: ['recommended'] }),
})
for (const { severity, ruleId, message, location } of problems) {
  console.error(`${severity} ${ruleId} ${location[0]?.pointer ?? ''}: ${message}`)
}
if (problems.length > 0) process.exit(1)
console.log('The OpenAPI document follows the recommended rules.')
