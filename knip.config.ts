import type { KnipConfig } from 'knip'

export default {
  entry: [
    'src/main.ts',
    'src/cli.ts',
    'src/healthcheck.ts',
    'tools/**/*.{ts,js}',
    'migrations/*/*.ts',
    'bench/*.ts',
    'bench/limit/{postgresql,sqlite}.ts',
    'bench/load/clients.ts',
    'bench/soak/{clients,inside}.ts',
    'bench/peers/check.ts',
    'tests/**/*.test.ts',
  ],
  // The servers that we compare ourselves with have packages of their own.
  project: ['**/*.{ts,js}', '!bench/peers/*-*/**', '!bench/peers/{prepare.js,shared.ts}'],
  // From the system, where it has one.
  ignoreBinaries: ['mount', 'pg_dump', 'pgbouncer', 'redis-server', 'script', 'taskset', 'umount'],
  // The command, which npm links; a folder of platform packages, PostgreSQL for the tests; Swagger UI, read as files.
  ignoreDependencies: ['@local/app', '@local/postgresql-runtime', 'swagger-ui-dist'],
} satisfies KnipConfig
