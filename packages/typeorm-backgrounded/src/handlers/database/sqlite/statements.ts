import type { TableNames } from '../../../table-names'
import type { BackgroundedJob } from '../job-table'

/** A claimed row, by property. */
export type JobRow = BackgroundedJob

const INSERTED = [
  'id',
  'source',
  'entity',
  'key',
  'method',
  'args',
  'types',
  'queue',
  'priority',
  'runAt',
  'enqueuedAt',
  'meta',
  'attempts',
] as const

/** Every statement of the SQLite job store, by name. The index that serves each is named beside it. */
export function sqliteStatements({ table, columns: c }: TableNames<BackgroundedJob>) {
  const row = (Object.keys(c) as (keyof JobRow)[]).map((property) => `${c[property]} AS "${property}"`).join(', ')
  const waiting = `${c.state} = 'waiting' AND ${c.source} = ?`
  const held = `${c.id} = ? AND ${c.lease} = ?`
  const free = `${c.worker} = NULL, ${c.lease} = NULL`
  return {
    /** One JSON array of rows, whatever their number, so that the statement is prepared once. Returns the new ids. */
    insert:
      `INSERT INTO ${table} (${INSERTED.map((name) => c[name]).join(', ')}) ` +
      `SELECT ${INSERTED.map((name) => `value ->> '$.${name}'`).join(', ')} FROM json_each(?) WHERE true ` +
      `ON CONFLICT (${c.id}) DO NOTHING RETURNING ${c.id} AS id`,

    // Waiting jobs: the partial index (source, queue, priority, run_at, id).
    nextQueueAndPriority:
      `SELECT ${c.queue} AS queue, ${c.priority} AS priority FROM ${table} WHERE ${waiting} AND (${c.queue}, ${c.priority}) > (?, ?) ` +
      `ORDER BY ${c.queue}, ${c.priority} LIMIT 1`,
    due:
      `SELECT ${c.id} AS id, ${c.runAt} AS runAt FROM ${table} WHERE ${waiting} AND ${c.queue} = ? AND ${c.priority} = ? ` +
      `AND ${c.runAt} <= ? AND ${c.suspect} = ? ORDER BY ${c.runAt}, ${c.id} LIMIT ?`,
    nextDue: `SELECT ${c.runAt} AS runAt FROM ${table} WHERE ${waiting} AND ${c.queue} = ? AND ${c.priority} = ? ORDER BY ${c.runAt} LIMIT 1`,

    // One job: the primary key.
    claim:
      `UPDATE ${table} SET ${c.state} = 'running', ${c.attempt} = ${c.attempt} + 1, ${c.worker} = ?, ${c.lease} = ? ` +
      `WHERE ${c.id} = ? AND ${c.state} = 'waiting' RETURNING ${row}`,
    remove: `DELETE FROM ${table} WHERE ${held}`,
    end: `UPDATE ${table} SET ${c.state} = ?, ${c.error} = ?, ${c.finishedAt} = ?, ${free} WHERE ${held}`,
    retry:
      `UPDATE ${table} SET ${c.state} = 'waiting', ${c.runAt} = ?, ${c.error} = ?, ${c.suspect} = ?, ${c.releasedSince} = NULL, ${free} ` +
      `WHERE ${held}`,
    release:
      `UPDATE ${table} SET ${c.state} = 'waiting', ${c.attempt} = ${c.attempt} - 1, ${c.runAt} = ?, ${c.error} = ?, ` +
      `${c.releasedSince} = ?, ${free} WHERE ${held}`,
    progress: `UPDATE ${table} SET ${c.progress} = ? WHERE ${held}`,

    // Running jobs: the partial index (worker).
    workers: `SELECT DISTINCT ${c.worker} AS worker FROM ${table} WHERE ${c.state} = 'running' AND ${c.source} = ?`,
    leases: `SELECT ${c.lease} AS lease FROM ${table} WHERE ${c.state} = 'running' AND ${c.worker} = ?`,
    takeOver:
      `UPDATE ${table} SET ${c.worker} = ?, ${c.lease} = ? || ${c.id}, ${c.suspect} = 1 ` +
      `WHERE ${c.state} = 'running' AND ${c.worker} IS ? AND ${c.source} = ? RETURNING ${row}`,

    // Kept jobs: the partial index (state, finished_at).
    prune:
      `DELETE FROM ${table} WHERE ${c.id} IN (SELECT ${c.id} FROM ${table} WHERE ${c.state} = 'completed' ` +
      `AND ${c.finishedAt} IS NOT NULL AND ${c.finishedAt} < ? LIMIT 500)`,
  }
}

export type SqliteStatements = ReturnType<typeof sqliteStatements>
