import { defineConfig, type OxlintOverride } from 'oxlint'

const http = ['fastify', '@fastify/*', 'node:http', 'node:https', 'node:http2', 'http', 'https', 'http2']
const database = ['kysely', 'kysely/**', 'pg', 'node:sqlite', '@mikro-orm/*']
const top = ['**/app.ts', '**/server.ts', '**/wiring.ts', '**/main.ts', '**/cli.ts', '**/commands/**']
const layer = (...names: string[]) => names.map((name) => `**/${name}/**`)
const exceptEnums = '!**/models/enums.ts'

/** What each layer may not import, types included. A request goes down: controllers, services, repositories, models. */
const forbidden: Record<string, string[]> = {
  commands: [...layer('controllers', 'repositories', 'models'), exceptEnums, '**/main.ts', ...http, ...database],
  controllers: [...layer('repositories', 'models', 'db', 'commands'), '**/app.ts', ...database],
  services: [...layer('controllers', 'models'), exceptEnums, ...top, ...http, ...database],
  repositories: [...layer('controllers', 'services', 'schemas'), ...top, ...http],
  models: [...layer('controllers', 'services', 'repositories', 'schemas', 'core', 'db'), ...top, 'pg', ...http],
  schemas: [
    ...layer('controllers', 'services', 'repositories', 'core', 'db', 'models'),
    exceptEnums,
    ...top,
    ...http,
    ...database,
  ],
  core: [
    ...layer('controllers', 'services', 'repositories', 'schemas', 'db', 'models'),
    exceptEnums,
    ...top,
    ...database,
  ],
  db: [...layer('controllers', 'services', 'schemas'), ...top, ...http],
}

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'promise', 'vitest'],
  categories: { correctness: 'error', suspicious: 'error', perf: 'error' },
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: 'error' },
  rules: {
    'import/no-cycle': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/switch-exhaustiveness-check': 'error',
    'typescript/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    'import/no-unassigned-import': ['error', { allow: ['**/require-node.js'] }],
    eqeqeq: 'error',
    'no-console': 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    // Statements of one transaction, and attempts, follow one another on purpose.
    'no-await-in-loop': 'off',
    // At the edges, where libraries give `unknown`, an assertion is the honest word.
    'typescript/no-unsafe-type-assertion': 'off',
    // Layers are objects of closures: their functions use no `this`.
    'typescript/unbound-method': 'off',
    // A helper stands beside what uses it.
    'unicorn/consistent-function-scoping': 'off',
    // Code points are what we want to count.
    'typescript/no-misused-spread': 'off',
    'typescript/no-unnecessary-type-arguments': 'off',
    'typescript/no-unsafe-enum-comparison': 'off',
    // A constructor may only narrow the types of its parameters.
    'no-useless-constructor': 'off',
    'oxc/no-map-spread': 'off',
    'unicorn/prefer-set-has': 'off',
    'import/no-named-as-default-member': 'off',
    'vitest/valid-describe-callback': 'off',
  },
  overrides: [
    ...Object.entries(forbidden).map(([name, group]): OxlintOverride => ({
      files: [`src/${name}/**`],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            patterns: [
              {
                group,
                message: `The layer rule: see "forbidden" in oxlint.config.ts for what ${name}/ may not import.`,
              },
            ],
          },
        ],
      },
    })),
    // Written by the migration generator.
    { files: ['migrations/**'], rules: { 'no-useless-escape': 'off' } },
    // `fault()` makes the tests, and its body has the assertions.
    {
      files: ['tests/faults/**'],
      rules: { 'vitest/no-standalone-expect': 'off', 'vitest/expect-expect': 'off', 'vitest/valid-title': 'off' },
    },
    // The command line, the start and the tools speak to people.
    {
      files: ['src/main.ts', 'src/commands/**', 'src/core/start.ts', 'tools/**', 'bench/**'],
      rules: { 'no-console': 'off' },
    },
    // Servers of other stacks, in their own ways. Their packages are seldom installed, and then types tell little.
    {
      files: ['bench/peers/*-*/**'],
      rules: {
        'import/no-unassigned-import': ['error', { allow: ['reflect-metadata'] }],
        'oxc/no-async-endpoint-handlers': 'off',
        'typescript/consistent-type-imports': 'off',
        'typescript/no-extraneous-class': ['error', { allowWithDecorator: true }],
        'typescript/no-unnecessary-type-assertion': 'off',
        'typescript/no-unnecessary-type-parameters': 'off',
      },
    },
  ],
})
