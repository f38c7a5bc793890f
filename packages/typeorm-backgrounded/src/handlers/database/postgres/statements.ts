import { MOMENT, NOW } from '../../../database/postgres/now'
import type { TableNames } from '../../../database/table-names'
import { CLAIMED, MOST_ATTEMPTS } from '../claimed-row'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import { INSERTED } from '../server/inserted-columns'
import type { JobTables } from '../tables'
import { columnCheck } from '../tables/shape'
import type { BackgroundedWorker } from '../tables/worker-table'

/** How long prefetching may take, in ms, because it holds up the next claim. */
const PREFETCH_WITHIN = 500
const KEYS = 'backgrounded.keys'
const TIMEOUT_BEFORE = 'backgrounded.statement_timeout'
/** The keys of the jobs that the previous statement has claimed: an array of texts. */
export const CLAIMED_KEYS = `nullif(current_setting('${KEYS}', true), '')::text[]`
/** Restores the setting that the claim has changed for prefetching. */
export const RESTORE_TIMEOUT = `SELECT set_config('statement_timeout', current_setting('${TIMEOUT_BEFORE}'), false) WHERE current_setting('${TIMEOUT_BEFORE}', true) <> ''`

/** Every statement of the Postgres job store, by name. The index that serves each is named beside it. */
export function postgresStatements(tables: JobTables) {
  return {
    ...callStatements(tables),
    ...claimStatements(tables),
    ...workerStatements(tables),
    columnCheck: columnCheck(tables),
  }
}

export interface ClaimStatement {
  readonly alone: string
  /** Leaves the keys of the claimed jobs for prefetching. Its last parameter is the entity whose keys are wanted. */
  readonly withKeys: string
}

export type PostgresStatements = ReturnType<typeof postgresStatements>

function callStatements({ jobs: { table, columns: c } }: JobTables) {
  const into = `INSERT INTO ${table} (${INSERTED.map((name) => c[name]).join(', ')})`
  /**
   * Inserts one row, given as 14 values. It takes a third of the time of `manyRows` when the statement is not prepared.
   */
  const oneRow = (v: readonly string[]) =>
    `${into} VALUES (${v.slice(0, 9).join(', ')}, coalesce(${v[9]}::bigint, ${MOMENT}) + ${v[10]}::bigint, ${v.slice(11).join(', ')})`
  /** Inserts a JSON array of rows. */
  const manyRows = (rows: string) =>
    `${into} SELECT id, source, entity, key, method, args, types, queue, priority, ` +
    `coalesce("runAt", ${MOMENT}) + delay, "enqueuedAt", meta, attempts ` +
    `FROM json_to_recordset(${rows}::json) AS job (id uuid, source text, entity text, key text, method text, args text, types text, ` +
    `queue text, priority int, "runAt" bigint, delay bigint, "enqueuedAt" bigint, meta text, attempts int)`
  const one = oneRow(Array.from({ length: 14 }, (_, index) => `$${index + 1}`))
  const many = manyRows('$1')
  const unlessThere = (insert: string) => `${insert} ON CONFLICT (${c.id}) DO NOTHING RETURNING ${c.id} AS id`
  /** Inserts and notifies in one commit, which waits for the disk once. */
  const notifying = (insert: string, channel: string, payloads: string) =>
    `WITH inserted AS (${unlessThere(insert)}), notified AS MATERIALIZED (SELECT pg_notify(${channel}, payload) FROM unnest(${payloads}::text[]) AS payload) ` +
    `SELECT id, (SELECT count(*) FROM notified) AS notified FROM inserted`
  return {
    // The primary key.
    /** For fresh ids only: checking for duplicates costs a fifth of an insert. */
    insertFresh: { one: oneRow, many: manyRows },
    /** Returns the new ids. */
    insert: { one: unlessThere(one), many: unlessThere(many) },
    /** Returns the new ids. */
    insertAndNotify: { one: notifying(one, '$15', '$16'), many: notifying(many, '$2', '$3') },

    /** Without waiting for the disk, because notifications are not stored. */
    notify: "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)",
  }
}

function claimStatements({ jobs: { table, columns: c }, pauses }: JobTables) {
  const waiting = (j: string) => `${j}.${c.state} = 'waiting' AND ${j}.${c.source} = $1`
  const inLane = (j: string, lane: string) =>
    `${waiting(j)} AND ${j}.${c.suspect} = ${lane}.suspect AND ${j}.${c.queue} = ${lane}.queue ` +
    `AND ${j}.${c.priority} = ${lane}.priority AND (${j}.${c.runAt}, ${j}.${c.id}) >= (${lane}.run_at, ${lane}.id)`
  const position = (j: string) =>
    `${j}.${c.suspect}, ${j}.${c.queue}, ${j}.${c.priority}, ${j}.${c.runAt}, ${j}.${c.id}`
  const isPaused = (queue: string) =>
    `EXISTS (SELECT FROM ${pauses.table} p WHERE p.${pauses.columns.source} = $1 AND p.${pauses.columns.queue} = ${queue})`

  // The hot index, which is searched for the first job of each lane, one lane after the other.
  const first = (j: string, above = '') =>
    `SELECT ${j}.${c.suspect} AS suspect, ${j}.${c.queue} AS queue, ${j}.${c.priority} AS priority, ${j}.${c.runAt} AS run_at, ` +
    `${j}.${c.id} AS id FROM ${table} ${j} WHERE ${waiting(j)} ${above} ORDER BY ${position(j)} LIMIT 1`
  const next = first(
    'j',
    `AND (j.${c.suspect}, j.${c.queue}, j.${c.priority}) > (scan.suspect, scan.queue, scan.priority)`,
  )
  const allLanes =
    `RECURSIVE scan AS ((${first('j')}) UNION ALL SELECT next.* FROM scan CROSS JOIN LATERAL (${next}) next), ` +
    `lane AS MATERIALIZED (SELECT * FROM scan WHERE ($2::text[] IS NULL OR queue = ANY($2)) AND NOT ${isPaused('scan.queue')})`

  // The hot index, which is searched from each cursor.
  const knownLanes =
    `lane AS MATERIALIZED (SELECT known.suspect, known.queue, known.priority, first.* ` +
    `FROM unnest($8::int[], $9::text[], $10::int[], $11::bigint[], $12::uuid[]) AS known (suspect, queue, priority, run_at, id) ` +
    `CROSS JOIN LATERAL (SELECT j.${c.runAt} AS run_at, j.${c.id} AS id FROM ${table} j WHERE ${inLane('j', 'known')} ` +
    `ORDER BY j.${c.runAt}, j.${c.id} LIMIT 1) first WHERE NOT ${isPaused('known.queue')})`

  const setClaimed = `${c.state} = 'running', ${c.attempt} = least(j.${c.attempt}, ${MOST_ATTEMPTS}) + 1, ${c.worker} = $3, ${c.lease} = $4`
  const dueIn = (lane: string, limit: string) =>
    `SELECT j.${c.id} AS id FROM ${table} j WHERE ${inLane('j', lane)} AND j.${c.runAt} <= ${NOW} ` +
    `ORDER BY j.${c.runAt}, j.${c.id} LIMIT ${limit} FOR UPDATE SKIP LOCKED`
  const claimed = CLAIMED.map((name) => `claimed.${c[name]} AS "${name}"`).join(', ')
  const noJob = (names: Partial<Record<(typeof CLAIMED)[number], string>>) =>
    CLAIMED.map((name) => names[name] ?? 'NULL').join(', ')

  const claimAndRemove =
    // The primary key, for both. With a join, the planner would expect too many rows to use the key.
    `claimed AS (UPDATE ${table} j SET ${setClaimed} WHERE j.${c.id} = ANY (ARRAY(SELECT id FROM due)) RETURNING j.*), ` +
    `done AS (DELETE FROM ${table} j USING unnest($6::uuid[], $7::int[]) AS fence (id, lease) ` +
    `WHERE j.${c.id} = fence.id AND j.${c.worker} = $3 AND j.${c.lease} = fence.lease RETURNING j.${c.id} AS id) ` +
    `SELECT 'claimed' AS kind, NULL::bigint AS wait, ${claimed} FROM claimed ` +
    `UNION ALL SELECT 'leaseLost', NULL, ${noJob({ id: 'acknowledged.id' })} FROM unnest($6::uuid[]) AS acknowledged (id) ` +
    `WHERE acknowledged.id NOT IN (SELECT id FROM done)`

  // Materialized, because a limit may otherwise be applied more than once. The nested loop keeps the order of the lanes,
  // and ends when there is no free slot.
  const claimFromLanes =
    `due AS MATERIALIZED (SELECT job.id FROM (SELECT * FROM lane WHERE suspect = 0 AND run_at <= ${NOW} ` +
    `ORDER BY array_position($2::text[], queue), priority, run_at) lane CROSS JOIN LATERAL (${dueIn('lane', '$5')}) job LIMIT $5), ` +
    `${claimAndRemove} UNION ALL SELECT 'lane', greatest(run_at, 0) - ${NOW}, ${noJob({ id: 'id', suspect: 'suspect', queue: 'queue', priority: 'priority', runAt: 'run_at' })} ` +
    `FROM lane`

  const leave = (name: string, value: string) => `set_config('${name}', ${value}, false)`
  const leavingKeys = (entity: string) =>
    `UNION ALL SELECT 'keys', NULL, ${noJob({})} FROM (SELECT ${leave(TIMEOUT_BEFORE, "current_setting('statement_timeout')")} || ` +
    `${leave('statement_timeout', `'${PREFETCH_WITHIN}'`)} || ` +
    `${leave(KEYS, `coalesce((SELECT array_agg(${c.key})::text FROM claimed WHERE ${c.entity} = ${entity}), '')`)} AS left_behind) AS no_row ` +
    `WHERE left_behind IS NULL`
  const withAndWithoutKeys = (sql: string, entity: string): ClaimStatement => ({
    alone: sql,
    withKeys: `${sql} ${leavingKeys(entity)}`,
  })

  return {
    // The hot index, from one lane to the next.
    claimFromAllLanes: withAndWithoutKeys(`WITH ${allLanes}, ${claimFromLanes}`, '$8'),
    // The hot index, from each cursor.
    claimFromCursors: withAndWithoutKeys(`WITH ${knownLanes}, ${claimFromLanes}`, '$13'),
    /** Claims from one lane, and returns no lane. */
    claimFromCursor: withAndWithoutKeys(
      `WITH due AS MATERIALIZED (SELECT j.${c.id} AS id FROM ${table} j WHERE ${waiting('j')} AND j.${c.suspect} = 0 AND j.${c.queue} = $2 ` +
        `AND j.${c.priority} = $8 AND (j.${c.runAt}, j.${c.id}) >= ($9, $10) AND j.${c.runAt} <= ${NOW} AND NOT ${isPaused('$2')} ` +
        `ORDER BY j.${c.runAt}, j.${c.id} LIMIT $5 FOR UPDATE SKIP LOCKED), ${claimAndRemove}`,
      '$11',
    ),
    claimSuspects:
      `WITH lane AS (SELECT $9::int AS suspect, $2::text AS queue, $5::int AS priority, $6::bigint AS run_at, $7::uuid AS id), ` +
      `due AS MATERIALIZED (SELECT job.id FROM lane CROSS JOIN LATERAL (${dueIn('lane', '$8')}) job), ` +
      `claimed AS (UPDATE ${table} j SET ${setClaimed} FROM due WHERE j.${c.id} = due.id RETURNING j.*) SELECT ${claimed} FROM claimed`,
  }
}

function workerStatements(tables: JobTables) {
  const { table, columns: c } = tables.jobs
  const workers = tables.workers as TableNames<BackgroundedWorker>
  const w = workers.columns
  const row = (j: string) => CLAIMED.map((name) => `${j}.${c[name]} AS "${name}"`).join(', ')
  const held = `j.${c.id} = fence.id AND j.${c.worker} = $2 AND j.${c.lease} = fence.lease`
  /**
   * For how long workers have been in contact with the store, in ms. The time between two successive beats, of any two
   * workers, counts unless it is longer than `gap` ms. The contact at a worker's last beat is the difference of two of
   * its columns.
   */
  const contact = (source: string, gap: string) =>
    `SELECT ${w.beatAt} - ${w.steadySince} + CASE WHEN ${NOW} - ${w.beatAt} BETWEEN 0 AND ${gap}::bigint THEN ${NOW} - ${w.beatAt} ELSE 0 END AS ms ` +
    `FROM ${workers.table} WHERE ${w.source} = ${source}::text ORDER BY ${w.beatAt} - ${w.steadySince} DESC, ${w.beatAt} DESC LIMIT 1`
  return {
    // The workers' primary key.
    beat:
      `UPDATE ${workers.table} SET ${w.steadySince} = ${NOW} - coalesce((${contact('$3', '$2')}), 0), ${w.beatAt} = ${NOW} ` +
      `WHERE ${w.id} = $1 RETURNING ${w.id}`,
    enter:
      `INSERT INTO ${workers.table} (${w.id}, ${w.source}, ${w.name}, ${w.startedAt}, ${w.beatAt}, ${w.steadySince}) ` +
      `VALUES ($1, $2::text, $3, ${NOW}, ${NOW}, ${NOW} - coalesce((${contact('$2', '$4')}), 0)) ON CONFLICT (${w.id}) DO NOTHING`,
    leave: `UPDATE ${workers.table} SET ${w.name} = '' WHERE ${w.id} = $1`,

    // Running jobs: the partial index (source, worker).
    /**
     * Removes dead workers and takes over their jobs in one statement, so that a worker that beats meanwhile keeps
     * both.
     */
    reap:
      `WITH contact AS (${contact('$4', '$5')}), ` +
      `reaper AS (SELECT contact.ms - $3::bigint AS dead_until FROM contact WHERE contact.ms >= $3::bigint ` +
      `AND EXISTS (SELECT FROM ${workers.table} WHERE ${w.id} = $1 AND ${w.beatAt} > ${NOW} - $3::bigint)), ` +
      `gone AS (SELECT ${w.id} AS id FROM ${workers.table} WHERE ${w.source} = $4 AND ${w.id} <> $1 AND (${w.name} = '' ` +
      `OR (${w.beatAt} NOT BETWEEN ${NOW} - $3::bigint AND ${NOW} + $3::bigint AND ${w.beatAt} - ${w.steadySince} <= (SELECT dead_until FROM reaper))) ` +
      `FOR UPDATE SKIP LOCKED), ` +
      `dead AS (DELETE FROM ${workers.table} WHERE ${w.id} IN (SELECT id FROM gone) RETURNING ${w.id} AS id) ` +
      `UPDATE ${table} j SET ${c.worker} = $1, ${c.lease} = $2, ${c.suspect} = least(greatest(j.${c.suspect}, 0) + 1, 2) ` +
      `WHERE j.${c.state} = 'running' AND j.${c.source} = $4 AND EXISTS (SELECT FROM reaper) AND (j.${c.worker} IN (SELECT id FROM dead) ` +
      `OR j.${c.worker} IS NULL OR NOT EXISTS (SELECT FROM ${workers.table} alive WHERE alive.${w.id} = j.${c.worker})) RETURNING ${row('j')}`,
    orphan:
      `SELECT 1 FROM ${table} j WHERE j.${c.state} = 'running' AND j.${c.source} = $1 AND NOT EXISTS (SELECT FROM ${workers.table} alive ` +
      `WHERE alive.${w.id} = j.${c.worker} AND alive.${w.beatAt} >= ${NOW} - $2::bigint) LIMIT 1`,
    held: `SELECT ${row('j')} FROM ${table} j WHERE j.${c.state} = 'running' AND j.${c.source} = $1 AND j.${c.worker} = $2`,

    // The primary key.
    applyOutcomes:
      `UPDATE ${table} j SET ${c.state} = fence.state, ${c.error} = fence.error, ${c.suspect} = coalesce(fence.suspect, j.${c.suspect}), ` +
      `${c.attempt} = j.${c.attempt} - fence."giveBack", ${c.releasedSince} = fence."releasedSince", ` +
      `${c.runAt} = coalesce(${NOW} + fence.delay, j.${c.runAt}), ` +
      `${c.finishedAt} = CASE WHEN fence.delay IS NULL THEN ${NOW} END, ${c.worker} = NULL, ${c.lease} = NULL ` +
      `FROM json_to_recordset($1::json) AS fence (id uuid, lease int, state text, delay bigint, error text, suspect int, "giveBack" int, "releasedSince" bigint) ` +
      `WHERE ${held} RETURNING j.${c.id} AS id`,
    progress: `UPDATE ${table} j SET ${c.progress} = fence.progress FROM json_to_recordset($1::json) AS fence (id uuid, lease int, progress text) WHERE ${held}`,

    // Kept jobs: the partial index (source, state, finished_at).
    prune:
      `DELETE FROM ${table} WHERE ${c.id} IN (SELECT ${c.id} FROM ${table} WHERE ${c.source} = $1 AND ${c.state} = 'completed' ` +
      `AND ${c.finishedAt} IS NOT NULL AND ${c.finishedAt} < ${NOW} - $2::bigint LIMIT ${PRUNED_AT_ONCE}) RETURNING ${c.id}`,
  }
}
