import type { KnipConfig } from 'knip'

export default {
  entry: [
    'src/main.ts',
    'src/cli.ts',
    'src/healthcheck.ts',
    'tools/**/*.{ts,js}',
    'migrations/*/*.ts',
    'bench/*.ts',
    'tests/**/*.test.ts',
  ],
  project: ['**/*.{ts,js}'],
  // Folders of platform packages: Node.js itself, which the scripts run on, and PostgreSQL for the tests.
  // The command, which npm links. Swagger UI is read as files.
  // From the system, where it has one.
  ignoreBinaries: ['redis-server', 'pg_dump', 'script'],
  ignoreDependencies: ['@local/app', '@local/postgresql-runtime', 'swagger-ui-dist'],
} satisfies KnipConfig
