import { BY_KEY } from '../../../database/mariadb/by-key'
import { NOW } from '../../../database/mariadb/now'
import type { TableNames } from '../../../database/table-names'
import { CLAIMED, MOST_ATTEMPTS } from '../claimed-row'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import { INSERTED } from '../server/inserted-columns'
import type { JobTables } from '../tables'
import { columnCheck } from '../tables/shape'
import type { BackgroundedWorker } from '../tables/worker-table'

/** How many jobs one worker takes over in one step. */
const TAKEN_OVER_AT_ONCE = 500

/** Every statement of the MariaDB and MySQL job store, by name. The index that serves each is named beside it. */
export function mariaDbStatements(tables: JobTables) {
  return {
    ...callStatements(tables),
    ...claimStatements(tables),
    ...workerStatements(tables),
    columnCheck: columnCheck(tables),
  }
}

export type MariaDbStatements = ReturnType<typeof mariaDbStatements>

function callStatements({ jobs: { table, columns: c } }: JobTables) {
  const row = `(?, ?, ?, ?, ?, ?, ?, ?, ?, COALESCE(?, ${NOW}) + ?, ?, ?, ?)`
  return {
    /** Not ON DUPLICATE KEY UPDATE, which locks more, nor IGNORE, which truncates. */
    insert: (rows: number) =>
      `INSERT INTO ${table} (${INSERTED.map((name) => c[name]).join(', ')}) VALUES ${list(rows, row)}`,
    limits: 'SELECT @@max_allowed_packet AS size, @@SESSION.sql_mode AS mode',
  }
}

function claimStatements({ jobs: { table, columns: c }, pauses }: JobTables) {
  const row = CLAIMED.map((name) => `${c[name]} AS ${quoted(name)}`).join(', ')
  const waiting = `${c.source} = ? AND ${c.state} = 'waiting'`
  const above =
    `${waiting} AND (${c.suspect} > ? OR (${c.suspect} = ? AND ${c.queue} > ?) ` +
    `OR (${c.suspect} = ? AND ${c.queue} = ? AND ${c.priority} > ?))`
  const laneFrom = (runAt: string) =>
    `SELECT ${c.suspect} AS suspect, ${c.queue} AS queue, ${c.priority} AS priority, ${runAt} AS runAt, ` +
    `GREATEST(${runAt}, 0) - ${NOW} AS wait FROM ${table} WHERE ${above}`
  return {
    // The hot index, for the next lane and the time of its first job. Not GROUP BY, which may walk every job, depending on
    // statistics.
    nextLane: `${laneFrom(c.runAt)} ORDER BY ${c.suspect}, ${c.queue}, ${c.priority}, ${c.runAt} LIMIT 1`,
    /** All other lanes at once. Walks every job in them. */
    otherLanes: `${laneFrom(`MIN(${c.runAt})`)} GROUP BY ${c.suspect}, ${c.queue}, ${c.priority}`,
    // The pauses' primary key.
    pausedQueues: `SELECT ${pauses.columns.queue} AS queue FROM ${pauses.table} WHERE ${pauses.columns.source} = ?`,
    // The hot index, from the cursor.
    due:
      `SELECT ${row} FROM ${table} WHERE ${waiting} AND ${c.suspect} = ? AND ${c.queue} = ? AND ${c.priority} = ? ` +
      `AND ${c.runAt} <= ${NOW} AND ${c.runAt} >= ? AND (${c.runAt} > ? OR ${c.id} >= ?) ` +
      `ORDER BY ${c.runAt}, ${c.id} LIMIT ? FOR UPDATE SKIP LOCKED`,
    // The primary key.
    claim: (rows: number) =>
      `UPDATE ${table} ${BY_KEY} SET ${c.state} = 'running', ${c.attempt} = LEAST(${c.attempt}, ${MOST_ATTEMPTS}) + 1, ${c.worker} = ?, ${c.lease} = ? ` +
      `WHERE ${c.id} IN (${list(rows)})`,
  }
}

function workerStatements(tables: JobTables) {
  const { table, columns: c } = tables.jobs
  const workers = tables.workers as TableNames<BackgroundedWorker>
  const w = workers.columns
  const row = CLAIMED.map((name) => `j.${c[name]} AS ${quoted(name)}`).join(', ')
  const held = (rows: number) => `j.${c.worker} = ? AND (${list(rows, `(j.${c.id} = ? AND j.${c.lease} = ?)`, ' OR ')})`
  /** A worker that has left, or that is dead: its last beat is too old, and came when the contact was at most `?` ms. */
  const isGone = `(${w.name} = '' OR (${w.beatAt} NOT BETWEEN ${NOW} - ? AND ${NOW} + ? AND ${w.beatAt} - ${w.steadySince} <= ?))`
  const isOrphan =
    `j.${c.source} = ? AND j.${c.state} = 'running' AND ` +
    `NOT EXISTS (SELECT 1 FROM ${workers.table} alive WHERE alive.${w.id} = j.${c.worker})`
  return {
    // The workers' primary key.
    beat: `UPDATE ${workers.table} ${BY_KEY} SET ${w.steadySince} = ${NOW} - ?, ${w.beatAt} = ${NOW} WHERE ${w.id} = ?`,
    enter:
      `INSERT INTO ${workers.table} (${w.id}, ${w.source}, ${w.name}, ${w.startedAt}, ${w.beatAt}, ${w.steadySince}) ` +
      `VALUES (?, ?, ?, ${NOW}, ${NOW}, ${NOW} - ?) ON DUPLICATE KEY UPDATE ${w.beatAt} = ${NOW}`,
    leave: `UPDATE ${workers.table} ${BY_KEY} SET ${w.name} = '' WHERE ${w.id} = ?`,
    hasBeatenLately: `SELECT 1 FROM ${workers.table} WHERE ${w.id} = ? AND ${w.beatAt} > ${NOW} - ?`,
    // The table of workers is small. These two lock nothing.
    /**
     * For how long workers have been in contact with the store, in ms. The time between two successive beats, of any two
     * workers, counts unless it is longer than `?` ms. The contact at a worker's last beat is the difference of two of its
     * columns.
     */
    contact:
      `SELECT ${w.beatAt} - ${w.steadySince} + CASE WHEN ${NOW} - ${w.beatAt} BETWEEN 0 AND ? THEN ${NOW} - ${w.beatAt} ELSE 0 END AS ms ` +
      `FROM ${workers.table} WHERE ${w.source} = ? ORDER BY ${w.beatAt} - ${w.steadySince} DESC, ${w.beatAt} DESC LIMIT 1`,
    goneWorkers: `SELECT ${w.id} AS id FROM ${workers.table} WHERE ${w.source} = ? AND ${w.id} <> ? AND ${isGone}`,
    // The workers' primary key.
    /** Skips workers that another worker is removing. */
    lockGone: (rows: number) =>
      `SELECT ${w.id} AS id FROM ${workers.table} ${BY_KEY} WHERE ${w.id} IN (${list(rows)}) AND ${isGone} FOR UPDATE SKIP LOCKED`,
    removeGone: (rows: number) =>
      `DELETE w FROM ${workers.table} w ${BY_KEY} WHERE w.${w.id} IN (${list(rows)}) AND w.${w.source} = ?`,

    // Running jobs: the hot index, by source and state. These statements lock nothing.
    orphans: `SELECT j.${c.id} AS id FROM ${table} j WHERE ${isOrphan} LIMIT ${TAKEN_OVER_AT_ONCE}`,
    orphan:
      `SELECT 1 FROM ${table} j WHERE j.${c.source} = ? AND j.${c.state} = 'running' AND NOT EXISTS (SELECT 1 FROM ${workers.table} alive ` +
      `WHERE alive.${w.id} = j.${c.worker} AND alive.${w.beatAt} >= ${NOW} - ?) LIMIT 1`,
    held: `SELECT ${row} FROM ${table} j WHERE j.${c.source} = ? AND j.${c.state} = 'running' AND j.${c.worker} = ?`,

    // The primary key.
    lockOrphans: (rows: number) =>
      `SELECT ${row} FROM ${table} j ${BY_KEY} WHERE j.${c.id} IN (${list(rows)}) AND ${isOrphan} FOR UPDATE SKIP LOCKED`,
    takeOver: (rows: number) =>
      `UPDATE ${table} ${BY_KEY} SET ${c.worker} = ?, ${c.lease} = ?, ${c.suspect} = LEAST(GREATEST(${c.suspect}, 0) + 1, 2) WHERE ${c.id} IN (${list(rows)})`,
    lockHeld: (rows: number) =>
      `SELECT j.${c.id} AS id, j.${c.lease} AS lease FROM ${table} j ${BY_KEY} WHERE ${held(rows)} FOR UPDATE`,
    remove: (rows: number) => `DELETE j FROM ${table} j ${BY_KEY} WHERE ${held(rows)}`,
    applyOutcomes: (rows: number) =>
      `UPDATE ${table} j ${BY_KEY} SET ${c.state} = ?, ${c.error} = ?, ${c.suspect} = COALESCE(?, ${c.suspect}), ` +
      `${c.attempt} = ${c.attempt} - ?, ${c.releasedSince} = ?, ${c.runAt} = COALESCE(${NOW} + ?, ${c.runAt}), ` +
      `${c.finishedAt} = IF(?, ${NOW}, NULL), ${c.worker} = NULL, ${c.lease} = NULL WHERE ${held(rows)}`,
    progress: `UPDATE ${table} j ${BY_KEY} SET ${c.progress} = ? WHERE ${held(1)}`,

    // Kept jobs: the index (finished_at). This statement locks nothing.
    prunable: `SELECT ${c.id} AS id FROM ${table} WHERE ${c.finishedAt} < ${NOW} - ? AND ${c.source} = ? AND ${c.state} = 'completed' LIMIT ${PRUNED_AT_ONCE}`,
    // The primary key.
    prune: (rows: number) =>
      `DELETE j FROM ${table} j ${BY_KEY} WHERE j.${c.id} IN (${list(rows)}) AND j.${c.state} = 'completed'`,
  }
}

function list(length: number, each = '?', separator = ', '): string {
  return Array(length).fill(each).join(separator)
}

function quoted(name: string): string {
  return `\`${name}\``
}
