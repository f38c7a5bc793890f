import type { JobState } from '../contract/inspectable'
import { JOB_STATES } from '../contract/inspection-arguments'
import type { JobTables } from './tables'
import type { BackgroundedJob } from './tables/job-table'

/** The columns that an inspection reads. */
const SHOWN = [
  'id',
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
  'state',
  'attempt',
  'error',
  'finishedAt',
] as const satisfies readonly (keyof BackgroundedJob)[]

export const KEPT_STATES = ['completed', 'failed', 'discarded'] as const

export type KeptState = (typeof KEPT_STATES)[number]

/** Which rows to show. A member that is left out matches every job. */
export interface RowFilter {
  readonly source: string
  readonly state?: JobState
  readonly queue?: string
  readonly entity?: string
  readonly method?: string
  /** Patterns that the key's text must match. */
  readonly keyLike?: readonly string[]
  /** ms */
  readonly olderThan?: number
  /** ms */
  readonly newerThan?: number
  /** The last row of the page before. */
  readonly after?: { readonly id: unknown; readonly finishedAt: unknown }
}

export interface Statement {
  readonly sql: string
  readonly values: readonly unknown[]
}

/**
 * Every statement by which people inspect and change jobs, by name, for all databases, with `?` for each value. The index
 * that serves each is named beside it.
 * @param now an SQL expression for the time now, in ms since the epoch
 */
export function inspectionStatements({ dialect, jobs: { table, columns: c }, pauses }: JobTables, now: string) {
  // MariaDB's index by state is not partial, and does not hold the time of the end.
  const ended = dialect === 'mariadb' ? '' : ` AND ${c.finishedAt} IS NOT NULL`
  // As in the condition of the partial index.
  const isIn = (state: JobState) => `${c.state} = '${state}'${isKept(state) ? ended : ''}`
  const count = (state: JobState) =>
    `SELECT '${state}' AS state, count(*) AS number FROM ${table} WHERE ${c.source} = ? AND ${isIn(state)}`
  const row = SHOWN.map((name) => `${c[name]} AS "${name}"`).join(', ')
  const p = pauses.columns
  // Without this, MariaDB scans a small table and waits for rows that open transactions have inserted.
  const byKey = dialect === 'mariadb' ? ' FORCE INDEX (PRIMARY)' : ''
  const deleteFrom = (name: string) => (byKey ? `DELETE t FROM ${name} t${byKey}` : `DELETE FROM ${name}`)

  return {
    /** Counts all entries of each state's index; on MariaDB, of the index that begins with the state. */
    counts: (source: string): Statement => ({
      sql: JOB_STATES.map(count).join(' UNION ALL '),
      values: JOB_STATES.map(() => source),
    }),

    /** The primary key, backwards; for a state that jobs end in, the index (source, state, finished_at). */
    find(filter: RowFilter, limit: number): Statement {
      const { source, state, keyLike = [], after, olderThan, newerThan } = filter
      const conditions: [sql: string, ...values: unknown[]][] = [[`${c.source} = ?`, source]]
      const isByEnd = state !== undefined && isKept(state)
      if (state !== undefined) conditions.push([isIn(state)])
      for (const name of ['queue', 'entity', 'method'] as const) {
        if (filter[name] !== undefined) conditions.push([`${c[name]} = ?`, filter[name]])
      }
      for (const pattern of keyLike) conditions.push([`${c.key} LIKE ?`, pattern])
      if (olderThan !== undefined) conditions.push([`${c.enqueuedAt} < ${now} - ?`, olderThan])
      if (newerThan !== undefined) conditions.push([`${c.enqueuedAt} >= ${now} - ?`, newerThan])
      if (after && !isByEnd) conditions.push([`${c.id} < ?`, after.id])
      if (after && isByEnd) {
        const { id, finishedAt } = after
        const isAfter = `${c.finishedAt} <= ? AND (${c.finishedAt} < ? OR ${c.id} < ?)`
        conditions.push([isAfter, finishedAt, finishedAt, id])
      }
      const order = isByEnd ? `${c.finishedAt} DESC, ${c.id} DESC` : `${c.id} DESC`
      return {
        sql: `SELECT ${row} FROM ${table} WHERE ${conditions.map(([sql]) => sql).join(' AND ')} ORDER BY ${order} LIMIT ?`,
        values: [...conditions.flatMap(([, ...values]) => values), limit],
      }
    },

    // The primary key.
    /** Those of the ids that are in the table and committed. */
    visible: (ids: readonly string[], source: string): Statement => ({
      sql: `SELECT ${c.id} AS "id" FROM ${table} WHERE ${c.id} IN (${list(ids)}) AND ${c.source} = ?`,
      values: [...ids, source],
    }),
    retry: (ids: readonly string[], source: string): Statement => ({
      sql:
        `UPDATE ${table}${byKey} SET ${c.state} = 'waiting', ${c.runAt} = ${now}, ${c.attempt} = 0, ${c.suspect} = 0, ` +
        `${c.worker} = NULL, ${c.lease} = NULL, ${c.releasedSince} = NULL, ${c.finishedAt} = NULL ` +
        `WHERE ${c.id} IN (${list(ids)}) AND ${c.source} = ? AND ${c.state} IN ('failed', 'discarded')`,
      values: [...ids, source],
    }),
    discard: (ids: readonly string[], source: string): Statement => ({
      sql: `${deleteFrom(table)} WHERE ${c.id} IN (${list(ids)}) AND ${c.source} = ? AND ${c.state} <> 'running'`,
      values: [...ids, source],
    }),

    // The index (source, state, finished_at); on MariaDB (finished_at).
    /**
     * Starts where the previous page has ended, because deleted entries stay in an index for as long as an old snapshot
     * may need them.
     */
    prunable: (source: string, state: KeptState, from: unknown, before: number, limit: number): Statement => ({
      sql:
        `SELECT ${c.id} AS "id", ${c.finishedAt} AS "finishedAt" FROM ${table} WHERE ${c.source} = ? AND ${isIn(state)} ` +
        `AND ${c.finishedAt} >= ? AND ${c.finishedAt} < ? ORDER BY ${c.finishedAt} LIMIT ?`,
      values: [source, from, before, limit],
    }),
    /** The same index, or the primary key, which is as good. */
    remove: (ids: readonly unknown[], source: string, state: KeptState, from: unknown, to: unknown): Statement => ({
      sql:
        `${deleteFrom(table)} WHERE ${c.id} IN (${list(ids)}) AND ${c.source} = ? AND ${isIn(state)} ` +
        `AND ${c.finishedAt} >= ? AND ${c.finishedAt} <= ?`,
      values: [...ids, source, from, to],
    }),

    // The pauses' primary key.
    pause: (source: string, queue: string): Statement => ({
      sql:
        `INSERT INTO ${pauses.table} (${p.source}, ${p.queue}) VALUES (?, ?) ` +
        (dialect === 'mariadb' ? `ON DUPLICATE KEY UPDATE ${p.queue} = ${p.queue}` : 'ON CONFLICT DO NOTHING'),
      values: [source, queue],
    }),
    resume: (source: string, queue: string): Statement => ({
      sql: `${deleteFrom(pauses.table)} WHERE ${p.source} = ? AND ${p.queue} = ?`,
      values: [source, queue],
    }),
  }
}

export type InspectionStatements = ReturnType<typeof inspectionStatements>

function isKept(state: JobState): state is KeptState {
  return (KEPT_STATES as readonly JobState[]).includes(state)
}

function list(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ')
}
