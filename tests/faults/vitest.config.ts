import { defineConfig } from 'vitest/config'

// `npm run test:faults` for all faults, `npm run test:faults:quick` for those that .ci/run asks for.
export default defineConfig(({ mode }) => ({
  test: {
    include: ['tests/faults/**/*.fault.ts'],
    globalSetup: 'tests/support/global-setup.ts',
    env: { FAULTS: mode },
    // One after another: each wants the machine for itself, and some of them most of it.
    fileParallelism: false,
    reporters: ['default', './tests/faults/support/report.ts'],
    hookTimeout: 60_000,
  },
}))
