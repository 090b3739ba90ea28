import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { reportConfig } from '../core/config-report.ts'
import { readEnvironment } from '../core/environment.ts'
import { exitCodes } from './exit-codes.ts'
import { complain, printJson, printTable, say } from './terminal.ts'

interface Json {
  json?: true
}

/** Loaded by the commands that need it: it brings the whole application along. */
const offline = () => import('./offline-app.ts')

/** `app routes`, `app config`, `app openapi`: the service as it is configured. */
export function serviceCommands(app: Command): void {
  app
    .command('routes')
    .description('show every route: method, path, who may ask it, operation id')
    .option('--json', 'print JSON')
    .action(async ({ json }: Json) => {
      const { routesOf, withOfflineApp } = await offline()
      await withOfflineApp((service) => {
        const routes = routesOf(service)
        if (json) return printJson({ routes })
        printTable(
          ['method', 'path', 'guard', 'operation id'],
          routes.map((route) => Object.values(route)),
        )
      })
    })

  app
    .command('config')
    .description('show every setting, where it comes from and what is wrong with it; secrets are hidden')
    .option('--json', 'print JSON')
    .action(({ json }: Json) => {
      const report = reportConfig(readEnvironment())
      if (report.faults.length > 0) process.exitCode = exitCodes.misused
      if (json) return printJson(report)
      printTable(
        ['setting', 'value', 'from'],
        report.settings.map((setting) => Object.values(setting)),
      )
      for (const name of report.unknown) complain(`${name} stands in .env and is no setting`)
      for (const fault of report.faults) complain(fault)
    })

  app
    .command('openapi')
    .description('write the OpenAPI document to standard output, or into a file')
    .argument('[file]', 'a file to write')
    .action(async (file?: string) => {
      const { withOfflineApp } = await offline()
      await withOfflineApp(
        async (service) => {
          const { body } = await service.inject('/api/docs/openapi.json')
          const document = JSON.stringify(JSON.parse(body), undefined, 2)
          if (file === undefined) return console.log(document)
          writeFileSync(file, `${document}\n`)
          say(`wrote ${file}`)
        },
        { DOCS_ENABLED: 'true' },
      )
    })
}
