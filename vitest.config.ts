import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** What tests with a database need: a PostgreSQL for all of them, and time on a busy machine. */
const withDatabases = { globalSetup: 'tests/support/global-setup.ts', testTimeout: 60_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    // One more than most machines have cores: the tests often wait for databases and processes.
    maxWorkers: availableParallelism() + 1,
    projects: [
      { test: { name: 'unit', include: ['tests/unit/**/*.test.ts'] } },
      { test: { name: 'integration', include: ['tests/integration/**/*.test.ts'], ...withDatabases } },
      { test: { name: 'browser', include: ['tests/browser/**/*.test.ts'], ...withDatabases } },
    ],
    coverage: {
      provider: 'v8',
      // The processes that tests start count as well.
      autoAttachSubprocess: true,
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'html', 'json-summary'],
      thresholds: { lines: 95, branches: 90 },
    },
  },
})
