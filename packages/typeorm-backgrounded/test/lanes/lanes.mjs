/**
 * The versions that the README promises, as data. `here` stands for the version that this repository has installed, which
 * is the newest that its lockfile knows.
 */
const newest = {
  typeorm: 'here',
  'reflect-metadata': 'here',
  'better-sqlite3': 'here',
  pg: 'here',
  mysql2: 'here',
  bull: 'here',
  ioredis: 'here',
}

const oldest = {
  typeorm: '0.3.20',
  'reflect-metadata': '0.2.1', // the oldest that TypeORM 0.3.20 accepts
  'better-sqlite3': '8.0.0', // older ones do not compile on Node 20
  sqlite3: '5.0.3', // the oldest that TypeORM 0.3.20 accepts
  pg: '8.5.1', // the oldest that TypeORM accepts, 0.3.20 and 1.x alike
  mysql2: '3.0.1', // npm refuses 3.0.0 beside TypeORM 0.3.20
  bull: '4.16.0',
  ioredis: '5.3.2', // the oldest that Bull 4.16.0 accepts
}

const servers = ['postgres', 'mariadb', 'bull']
const pooled = ['pgbouncer', 'pgbouncer-with-listen']

/** Without the SQLite drivers, since the native code of the oldest does not compile on a newer Node. */
const oldestForServers = { ...oldest }
delete oldestForServers['better-sqlite3']
delete oldestForServers.sqlite3

/** Postgres and Redis alone. */
const newestForPostgres = { ...newest }
delete newestForPostgres['better-sqlite3']
delete newestForPostgres.mysql2

const oldestPg = { ...newestForPostgres, pg: oldest.pg }

const agents = {
  // One release of each that npm can install beside the others.
  '@opentelemetry/api': '~1.9.0',
  '@opentelemetry/instrumentation': '^0.214.0',
  '@opentelemetry/instrumentation-pg': '^0.66.0',
  '@opentelemetry/sdk-trace-node': '^2.12.0',
  'dd-trace': '^6.21.0',
}

const conditions = ['opentelemetry', 'dd-trace', 'copying-wrapper', 'discard-all']

/**
 * A program (programs/) with the packed tarball and these versions installed: `smoke` on each store, `conditions` on
 * Postgres while something stands between the application and its database, with the jobs in Redis where `+bull` is said.
 */
export const programLanes = [
  smoke('newest-node-20', '20.19.0', newest, ['better-sqlite3', ...servers, ...pooled]),
  smoke('newest-node-22', '22.13.0', newest, ['better-sqlite3', ...servers]),
  smoke('newest-node-24', '24.11.0', newest, ['better-sqlite3', ...servers]),
  smoke('oldest-node-20', '20.19.0', oldest, ['better-sqlite3', 'sqlite3', ...servers, ...pooled]),
  smoke('oldest-node-24', '24.11.0', oldestForServers, [...servers]),
  // The newest agents do not run on Node 20.
  underConditions('conditions', '24.11.0', { ...newestForPostgres, ...agents }, [
    ...conditions,
    ...conditions.map((condition) => `${condition}+bull`),
    'pgbouncer',
    'pgbouncer-discard-all',
  ]),
  underConditions('conditions-oldest-pg', '20.19.0', oldestPg, ['postgres', 'copying-wrapper', 'discard-all']),
  underConditions('conditions-pg-native', '20.19.0', { ...newestForPostgres, 'pg-native': '^3.9.0' }, ['pg-native']),
]

function smoke(name, node, packages, stores) {
  return { name, program: 'smoke', node, packages, stores }
}

function underConditions(name, node, packages, stores) {
  return { name, program: 'conditions', node, packages, stores }
}

/**
 * The package's own suite with the TypeORM that this repository has installed under another name. The whole suite would
 * take 20 minutes more of CI: what is left out has nothing to do with TypeORM, or spends its time on servers and
 * workers that die, which `npm test` covers with TypeORM 1.
 */
export const suiteLanes = [
  {
    name: 'suite-typeorm-0.3',
    typeorm: 'typeorm-0.3',
    except: [
      'handlers/bull', // Redis only; a smoke lane runs Bull on TypeORM 0.3.20
      'handlers/database/deaths.test.js', // of workers
      'handlers/database/open-transactions.test.js', // plans of large tables
      'handlers/heartbeat', // a thread without TypeORM
      'handlers/odd-values.test.js', // encodings of the drivers
      'integration', // processes and servers that die; the smoke lanes run a worker process on each store
      'job/argument-limits.test.js', // measures the encoding
      'package', // programs of its own, one of them on TypeORM 0.3
      'support', // tests of the tests
    ],
  },
]
