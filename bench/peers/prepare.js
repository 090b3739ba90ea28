// Run by `npm ci`: makes what two of the peers are started from, Prisma's clients and Nest's JavaScript.
import { execFileSync } from 'node:child_process'

const environment = {
  ...process.env,
  // Prisma would download an engine for its migrations, which nothing here uses: any file is taken for it.
  PRISMA_SCHEMA_ENGINE_BINARY: 'package.json',
  CHECKPOINT_DISABLE: '1',
}

const run = (module, ...parameters) =>
  execFileSync(process.execPath, [`node_modules/${module}`, ...parameters], { env: environment, stdio: 'inherit' })

for (const kind of ['postgresql', 'sqlite'])
  run('prisma/build/index.js', 'generate', '--no-hints', '--schema', `express-prisma/${kind}.prisma`)
run('typescript/bin/tsc', '--project', 'nestjs-typeorm')
