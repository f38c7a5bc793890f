import { CALLED, CLAIMED, OWN } from '../claimed-row'
import { PRUNED_AT_ONCE } from '../pruned-at-once'
import type { JobTables } from '../tables'
import { columnCheck } from '../tables/shape'

/** The columns that `due` reads, before the number of the next attempt and the rowid. */
export const DUE = [...OWN, 'releasedSince'] as const

/** Every statement of the SQLite job store, by name. The index that serves each is named beside it. */
export function sqliteStatements(tables: JobTables) {
  const { table, columns: c } = tables.jobs
  const { pauses } = tables
  const row = CLAIMED.map((property) => `${c[property]} AS "${property}"`).join(', ')
  const waiting = `${c.state} = 'waiting' AND ${c.source} = ?`
  const lane = `${c.suspect} = ? AND ${c.queue} = ? AND ${c.priority} = ?`
  // `+?`, because SQLite looks at a bare parameter of LIMIT when it plans, and so plans again whenever one is bound.
  const due = `FROM ${table} WHERE ${waiting} AND ${lane} AND ${c.runAt} <= ? ORDER BY ${c.runAt}, ${c.id} LIMIT +?`
  const held = `${c.id} = ? AND ${c.worker} = ? AND ${c.lease} = ?`
  const first = (above: string) =>
    `SELECT ${c.suspect} AS suspect, ${c.queue} AS queue, ${c.priority} AS priority, ${c.runAt} AS runAt FROM ${table} ` +
    `WHERE ${waiting} AND ${above} ORDER BY ${c.suspect}, ${c.queue}, ${c.priority}, ${c.runAt} LIMIT 1`
  const free = `${c.worker} = NULL, ${c.lease} = NULL`
  return {
    columnCheck: columnCheck(tables),
    /** One JSON array of rows, whatever their number, so that the statement is prepared once. Returns the new ids. */
    insert:
      `INSERT INTO ${table} (${CALLED.map((name) => c[name]).join(', ')}) ` +
      `SELECT ${CALLED.map((name) => `value ->> '$.${name}'`).join(', ')} FROM json_each(?) WHERE true ` +
      `ON CONFLICT (${c.id}) DO NOTHING RETURNING ${c.id} AS id`,

    // Waiting jobs: the partial index (source, suspect, queue, priority, run_at, id).
    // Three statements, because SQLite searches an index only for the first column of a row value.
    nextPriority: first(`${c.suspect} = ? AND ${c.queue} = ? AND ${c.priority} > ?`),
    nextQueue: first(`${c.suspect} = ? AND ${c.queue} > ?`),
    nextSuspect: first(`${c.suspect} > ?`),
    due: `SELECT ${DUE.map((property) => c[property]).join(', ')}, ${c.attempt} + 1, rowid ${due}`,
    /** Reads the index only, because most due jobs of many lanes are not claimed. */
    duePlaces: `SELECT ${c.id} AS id, ${c.runAt} AS runAt ${due}`,
    // The pauses' primary key.
    pausedQueues: `SELECT ${pauses.columns.queue} AS queue FROM ${pauses.table} WHERE ${pauses.columns.source} = ?`,

    // By rowid: one JSON array, in the transaction that has found the rows.
    /**
     * OR FAIL, because an error rolls back the whole transaction, and SQLite need not be able to undo this statement
     * alone.
     */
    claim:
      `UPDATE OR FAIL ${table} SET ${c.state} = 'running', ${c.attempt} = ${c.attempt} + 1, ${c.worker} = ?, ${c.lease} = ? ` +
      `WHERE rowid IN (SELECT value FROM json_each(?))`,

    // The primary key.
    remove: `DELETE FROM ${table} WHERE ${held}`,
    /** One JSON array. */
    removeAll: `DELETE FROM ${table} WHERE ${c.id} IN (SELECT value FROM json_each(?)) AND ${c.worker} = ? AND ${c.lease} = ?`,
    applyOutcomes:
      `UPDATE ${table} SET ${c.state} = ?, ${c.error} = ?, ${c.suspect} = coalesce(?, ${c.suspect}), ${c.attempt} = ${c.attempt} - ?, ` +
      `${c.releasedSince} = ?, ${c.runAt} = coalesce(?, ${c.runAt}), ${c.finishedAt} = ?, ${free} WHERE ${held}`,
    progress: `UPDATE ${table} SET ${c.progress} = ? WHERE ${held}`,

    // Running jobs: the partial index (source, worker).
    workers: `SELECT DISTINCT ${c.worker} AS worker FROM ${table} WHERE ${c.state} = 'running' AND ${c.source} = ?`,
    held: `SELECT ${c.id} AS id, ${c.lease} AS lease FROM ${table} WHERE ${c.state} = 'running' AND ${c.source} = ? AND ${c.worker} = ?`,
    takeOver:
      `UPDATE ${table} SET ${c.worker} = ?, ${c.lease} = ?, ${c.suspect} = min(max(${c.suspect}, 0) + 1, 2) ` +
      `WHERE ${c.state} = 'running' AND ${c.source} = ? AND ${c.worker} IS ? RETURNING ${row}`,

    // Kept jobs: the partial index (source, state, finished_at).
    prune:
      `DELETE FROM ${table} WHERE ${c.id} IN (SELECT ${c.id} FROM ${table} WHERE ${c.source} = ? AND ${c.state} = 'completed' ` +
      `AND ${c.finishedAt} IS NOT NULL AND ${c.finishedAt} < ? LIMIT ${PRUNED_AT_ONCE})`,
  }
}

export type SqliteStatements = ReturnType<typeof sqliteStatements>
