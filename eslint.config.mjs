import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript'
import importX from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'

const src = './packages/typeorm-backgrounded/src'

/**
 * Each room of the library, what it may import, and why not more. Imports point one way: no room can reach itself through
 * others. A folder or a file that is on no list may import nothing.
 */
export const ROOMS = {
  'logger.ts': { knows: [], because: 'The public vocabulary knows nobody: everything else stands on it.' },
  'events.ts': { knows: [], because: 'The public vocabulary knows nobody: everything else stands on it.' },
  concurrency: { knows: [], because: 'It is about promises and time only.' },
  upstream: {
    knows: ['errors.ts', 'logger.ts'],
    because: 'It says what dependencies do not promise, and knows nothing of what it is used for.',
  },
  reporting: { knows: ['logger.ts'], because: 'It puts foreign values into words for every other room.' },
  'errors.ts': { knows: ['reporting'], because: 'The public vocabulary knows nobody: everything else stands on it.' },
  database: {
    knows: ['concurrency', 'errors.ts', 'logger.ts', 'reporting', 'upstream'],
    because: 'It says what databases are like, whatever is stored there.',
  },
  job: {
    knows: ['database', 'errors.ts', 'reporting'],
    because: 'A job is plain data, so that any handler can use it.',
  },
  metadata: { knows: ['errors.ts', 'job'], because: 'The marks say what may run, not where and how.' },
  'handlers/contract': {
    knows: ['errors.ts', 'job', 'logger.ts', 'reporting'],
    because: 'The contract of handlers knows no handler.',
  },
  'handlers/heartbeat': {
    knows: ['concurrency', 'logger.ts', 'reporting'],
    because: 'A heartbeat runs in a thread of its own, which loads little.',
  },
  'handlers/consumption': {
    knows: ['concurrency', 'database', 'errors.ts', 'handlers/contract', 'job', 'logger.ts', 'reporting'],
    because: 'What handlers share knows none of them.',
  },
  'handlers/null.ts': {
    knows: ['handlers/contract', 'job'],
    because: 'A handler is a translation, and knows no other.',
  },
  'handlers/synchronous.ts': {
    knows: ['handlers/contract', 'job'],
    because: 'A handler is a translation, and knows no other.',
  },
  ...Object.fromEntries(
    ['bull', 'database'].map((handler) => [
      `handlers/${handler}`,
      {
        knows: [
          'concurrency',
          'database',
          'errors.ts',
          'handlers/consumption',
          'handlers/contract',
          'handlers/heartbeat',
          'job',
          'logger.ts',
          'reporting',
          'upstream',
        ],
        because: 'A handler is a translation: it takes envelopes, never entities, and knows no other handler.',
      },
    ]),
  ),
  outbox: {
    knows: ['concurrency', 'database', 'errors.ts', 'handlers/contract', 'job', 'logger.ts', 'reporting', 'upstream'],
    because: 'The outbox knows the contract of handlers only, and neither who fills it nor who empties it.',
  },
  dispatch: {
    knows: [
      'concurrency',
      'database',
      'errors.ts',
      'events.ts',
      'handlers/contract',
      'job',
      'logger.ts',
      'metadata',
      'outbox',
      'reporting',
      'upstream',
    ],
    because: 'Enqueueing knows the contract of handlers only, and never the worker: plugin joins them.',
  },
  'worker/reload': {
    knows: ['concurrency', 'database', 'errors.ts', 'handlers/contract', 'job', 'metadata', 'upstream'],
    because: 'Rows are loaded without knowing what they are loaded for.',
  },
  worker: {
    knows: [
      'concurrency',
      'database',
      'errors.ts',
      'events.ts',
      'handlers/contract',
      'job',
      'logger.ts',
      'metadata',
      'reporting',
      'worker/reload',
    ],
    because: 'Running knows the contract of handlers only, and never the enqueueing: plugin joins them.',
  },
  plugin: {
    knows: [
      'concurrency',
      'database',
      'dispatch',
      'errors.ts',
      'events.ts',
      'handlers/contract',
      'job',
      'logger.ts',
      'metadata',
      'outbox',
      'reporting',
      'upstream',
      'worker',
    ],
    because: 'The composition root is given its handler, and no edge of the library.',
  },
  'index.ts': {
    knows: [
      'dispatch',
      'errors.ts',
      'events.ts',
      'handlers/consumption',
      'handlers/contract',
      'handlers/null.ts',
      'handlers/synchronous.ts',
      'job',
      'logger.ts',
      'metadata',
      'plugin',
      'worker',
    ],
    because: 'The main entry loads no driver and no edge.',
  },
  testing: {
    knows: [
      'concurrency',
      'dispatch',
      'errors.ts',
      'handlers/consumption',
      'handlers/contract',
      'job',
      'logger.ts',
      'metadata',
      'plugin',
      'reporting',
      'worker',
    ],
    because: 'What tests use knows no built-in handler.',
  },
  cli: {
    knows: ['concurrency', 'database', 'errors.ts', 'job', 'logger.ts', 'plugin', 'reporting', 'worker'],
    because: 'The CLI works with whatever handler the data source names.',
  },
}

const DIALECTS = ['sqlite', 'postgres', 'mariadb']

const directions = [
  ...Object.entries(ROOMS).map(([room, { knows, because }]) => ({
    target: Object.keys(ROOMS).some((other) => other.startsWith(`${room}/`)) ? `${room}/*` : room,
    except: [room, ...knows],
    message: because,
  })),
  ...unlisted('')
    .concat(unlisted('handlers/'))
    .map((entry) => ({
      target: entry,
      except: [entry],
      message: `${entry} is on no list: say in eslint.config.mjs what it may import.`,
    })),
  ...['database', 'handlers/database'].flatMap((room) =>
    DIALECTS.map((dialect) => ({
      target: `${room}/${dialect}`,
      from: DIALECTS.filter((other) => other !== dialect).flatMap((other) => [
        `database/${other}`,
        `handlers/database/${other}`,
      ]),
      message: 'A dialect never knows another: what they share is beside them.',
    })),
  ),
]

/** What lies in the library, or in a folder of it, and is in no room. */
function unlisted(folder) {
  const rooms = Object.keys(ROOMS)
  return readdirSync(join(import.meta.dirname, src, folder), { withFileTypes: true })
    .map((entry) => folder + entry.name)
    .filter((entry) => !rooms.some((room) => room === entry || room.startsWith(`${entry}/`)))
}

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
          zones: directions.map(({ target, from, except, message }) => ({
            target: `${src}/${target}`,
            from: from ? from.map((path) => `${src}/${path}`) : src,
            ...(except ? { except: except.map((path) => `./${path}`) } : {}),
            message,
          })),
        },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: ['bull', 'ioredis'].map((name) => ({
            name,
            message: 'Applications without BullHandler must not need it: imported in handlers/bull and upstream only.',
          })),
        },
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      // The CLI loads what the user names, and CommonJS does that with require.
      '@typescript-eslint/no-require-imports': 'off',
    },
  },
  {
    files: [
      'packages/typeorm-backgrounded/src/handlers/bull/**/*.ts',
      'packages/typeorm-backgrounded/src/upstream/ioredis.ts',
    ],
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
  {
    files: ['**/*.cjs'],
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
)
