import type { Store } from './places/place'

/**
 * One way of the library that is there for its speed alone, and the text of the compiled library that turns it off. A test
 * shows that each text is still there, once.
 */
export interface FastPath {
  /** What the library is without it. */
  readonly title: string
  readonly stores: readonly Store[]
  /** Below the library's `dist`. */
  readonly file: string
  readonly text: string
  readonly replacement: string
}

const ALL: readonly Store[] = ['postgres', 'mariadb', 'sqlite', 'redis']

export const FAST_PATHS = {
  'batched-calls': {
    title: 'without batches of calls: each call has a statement of its own',
    stores: ALL,
    file: 'dispatch/handler-calls.js',
    text: 'new batcher_1.Batcher((jobs) => this.store(jobs))',
    replacement: 'new batcher_1.Batcher((jobs) => this.store(jobs), { items: 1 })',
  },
  'batched-loads': {
    title: 'without batches of loads: each job has a SELECT of its own, and all of them run at once',
    stores: ALL,
    file: 'worker/reload/entity-loader.js',
    text: 'batcher: new batcher_1.Batcher(run, { items: 500, admission })',
    replacement: 'batcher: { add: async (key) => (await run([key]))[0] }',
  },
  'repeated-find': {
    title: 'without keeping the SQL of a load: TypeORM makes it again each time',
    stores: ALL,
    file: 'upstream/repeated-find.js',
    text: 'let query = this.queries.get(places)',
    replacement: 'let query',
  },
  'acknowledge-and-claim': {
    title: 'without acknowledging and claiming in one go: one after the other',
    stores: ALL,
    file: 'handlers/consumption/store-consumption.js',
    text: 'reply = await this.store.acknowledgeAndClaim(finished, slots)',
    replacement: `
      const acknowledged = finished.length > 0 && slots > 0 && await this.store.acknowledgeAndClaim(finished, 0)
      const { leaseLost, refused } = acknowledged || {}
      reply = await this.store.acknowledgeAndClaim(acknowledged ? [] : finished, slots)
      if (acknowledged) reply = { ...reply, leaseLost, refused }`,
  },
  'claim-of-one-lane': {
    title: 'without a statement for a single lane',
    stores: ['postgres'],
    file: 'handlers/database/postgres/postgres-jobs.js',
    text: 'lane?.suspect !== 0 ||',
    replacement: 'true ||',
  },
  'claim-cursors': {
    title: 'without claim cursors: every claim is a full scan',
    stores: ['postgres'],
    file: 'handlers/database/postgres/postgres-jobs.js',
    text: 'if (!lanes)',
    replacement: 'if (true)',
  },
  prefetch: {
    title: 'without prefetching rows',
    stores: ['postgres'],
    file: 'handlers/database/postgres/postgres-jobs.js',
    text: 'request.slots > 0 ? this.prefetch?.next() : undefined',
    replacement: 'undefined',
  },
  listen: {
    title: 'without LISTEN, prepared statements and prefetching, as behind a pooler',
    stores: ['postgres'],
    file: 'handlers/database/database-handler.js',
    text: 'listen = true',
    replacement: 'listen = false',
  },
  notify: {
    title: 'without NOTIFY',
    stores: ['postgres'],
    file: 'handlers/database/database-handler.js',
    text: 'notify = true',
    replacement: 'notify = false',
  },
  'notify-with-insert': {
    title: 'without NOTIFY in the statement of a call: it is a statement of its own',
    stores: ['postgres'],
    file: 'handlers/database/postgres/postgres-database.js',
    text: 'this.notifies ? this.notifier.takeNotifications(rows) : []',
    replacement: '[]',
  },
  'spaced-notify': {
    title: 'without space between notifications: one for each commit',
    stores: ['postgres'],
    file: 'handlers/database/postgres/worker-notifier.js',
    text: 'const spacing = this.recent.get(payload);',
    replacement: 'return void this.notifyNow(payload); const spacing = undefined;',
  },
  'insert-with-commit': {
    title: 'without sending jobs in one text with the COMMIT: an INSERT before it',
    stores: ['postgres'],
    file: 'handlers/database/postgres/postgres-database.js',
    text: 'statement: literal &&',
    replacement: 'statement: undefined &&',
  },
  'insert-without-check': {
    title: 'without leaving out the check for ids that are there already',
    stores: ['postgres'],
    file: 'handlers/database/postgres/statements.js',
    text: 'insertFresh: { one: oneRow,',
    replacement: 'insertFresh: { one: (values) => oneRow(values) + ` ON CONFLICT (${c.id}) DO NOTHING`,',
  },
  checkpoints: {
    title: 'without checkpoints beside the work: within a commit, once the log is long',
    stores: ['sqlite'],
    file: 'handlers/database/sqlite/checkpoints.js',
    text: 'if (++this.commits < EVERY ||',
    replacement: 'if (true ||',
  },
  'limit-without-plan': {
    title: 'without keeping SQLite from planning again for each LIMIT',
    stores: ['sqlite'],
    file: 'handlers/database/sqlite/statements.js',
    text: 'LIMIT +?',
    replacement: 'LIMIT ?',
  },
} as const satisfies Record<string, FastPath>

export type FastPathName = keyof typeof FAST_PATHS
