import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript'
import importX from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'

const src = './packages/typeorm-backgrounded/src'

/** Which room may not know which others, and why. Imports point one way. */
const directions = [
  {
    target: [
      'errors.ts',
      'events.ts',
      'logger.ts',
      'batcher.ts',
      'database-defects.ts',
      'database-errors.ts',
      'pause.ts',
      'text-of.ts',
      'backslash-escapes.ts',
      'error-brand.ts',
      'sqlite-connection.ts',
      'table-differences.ts',
      'table-entity.ts',
      'table-names.ts',
      'dialect.ts',
      'column-types.ts',
      'lazy-abort.ts',
      'pool-runner.ts',
      'reporting',
    ],
    from: [
      'job',
      'metadata',
      'handlers',
      'dispatch',
      'worker',
      'testing',
      'cli',
      'backgrounded.ts',
      'runtime.ts',
      'options.ts',
    ],
    message: 'The leaves know nobody: everything else stands on them.',
  },
  {
    target: ['job'],
    from: [
      'metadata',
      'handlers',
      'dispatch',
      'worker',
      'testing',
      'cli',
      'backgrounded.ts',
      'runtime.ts',
      'options.ts',
    ],
    message: 'A job is plain data: it knows errors only, so that any handler can use it.',
  },
  {
    target: ['metadata'],
    from: ['handlers', 'dispatch', 'worker', 'testing', 'cli', 'backgrounded.ts', 'runtime.ts'],
    message: 'The marks say what may run, not where and how.',
  },
  {
    target: ['handlers'],
    from: ['metadata', 'dispatch', 'worker', 'testing', 'cli', 'backgrounded.ts', 'runtime.ts'],
    message: 'A handler is a translation: it takes envelopes, and has no job semantics and no entities.',
  },
  {
    target: ['handlers/database'],
    from: ['handlers/bull', 'handlers/synchronous.ts', 'handlers/null.ts'],
    message: 'A handler never knows another handler.',
  },
  ...['sqlite', 'postgres', 'mariadb'].map((dialect, _, all) => ({
    target: [`handlers/database/${dialect}`],
    from: all.filter((other) => other !== dialect).map((other) => `handlers/database/${other}`),
    message: 'A dialect never knows another: what they share is in handlers/database.',
  })),
  {
    target: ['handlers/bull'],
    from: ['handlers/database', 'handlers/synchronous.ts', 'handlers/null.ts'],
    message: 'A handler never knows another handler.',
  },
  {
    target: ['dispatch'],
    from: [
      'worker',
      'testing',
      'cli',
      'backgrounded.ts',
      'handlers/bull',
      'handlers/database',
      'handlers/synchronous.ts',
      'handlers/null.ts',
    ],
    message: 'Enqueueing knows the contract of handlers only, and never the worker: backgrounded.ts joins them.',
  },
  {
    target: ['worker'],
    from: [
      'dispatch',
      'testing',
      'cli',
      'backgrounded.ts',
      'handlers/bull',
      'handlers/database',
      'handlers/synchronous.ts',
      'handlers/null.ts',
    ],
    message: 'Running knows the contract of handlers only, and never the enqueueing: backgrounded.ts joins them.',
  },
  {
    target: ['backgrounded.ts', 'runtime.ts'],
    from: ['testing', 'cli', 'handlers/bull', 'handlers/database', 'handlers/synchronous.ts', 'handlers/null.ts'],
    message: 'The composition root is given its handler; nothing imports an edge.',
  },
]

export default tseslint.config(
  {
    ignores: [
      '**/dist/',
      '**/build/',
      '**/.tmp/',
      '**/coverage/',
      '**/node_modules/',
      '**/fixtures/',
      '**/test/types/',
    ],
  },
  ...tseslint.configs.recommended,
  {
    files: ['packages/typeorm-backgrounded/src/**/*.ts'],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [
        createTypeScriptImportResolver({ project: 'packages/typeorm-backgrounded/tsconfig.json' }),
      ],
    },
    rules: {
      'import-x/no-restricted-paths': [
        'error',
        {
          basePath: import.meta.dirname,
          zones: directions.map(({ target, from, message }) => ({
            target: target.map((path) => `${src}/${path}`),
            from: from.map((path) => `${src}/${path}`),
            message,
          })),
        },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: ['bull', 'ioredis'].map((name) => ({
            name,
            message: 'Whoever does not use BullHandler must not need it: imported in handlers/bull only.',
          })),
        },
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      // The CLI loads what the user names, and CommonJS does that with require.
      '@typescript-eslint/no-require-imports': 'off',
    },
  },
  {
    files: ['packages/typeorm-backgrounded/src/handlers/bull/**/*.ts'],
    rules: { 'no-restricted-imports': 'off' },
  },
  {
    files: ['**/test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-require-imports': 'off',
      '@typescript-eslint/no-explicit-any': 'off',
    },
  },
)
