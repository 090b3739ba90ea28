import type { KnipConfig } from 'knip'

export default {
  entry: ['tools/*.{ts,js}', 'migrations/*/*.ts', 'tests/**/*.test.ts'],
  project: ['**/*.{ts,js}'],
  // Folders of platform packages: Node.js itself, which the scripts run on, and PostgreSQL for the tests.
  // Swagger UI is read as files.
  ignoreDependencies: ['@local/node-runtime', '@local/postgresql-runtime', 'swagger-ui-dist'],
} satisfies KnipConfig
