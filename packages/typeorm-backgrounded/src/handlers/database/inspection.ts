import { setImmediate as othersTurn } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { isBusyError, isConnectionError } from '../../database/errors'
import type { Dialect } from '../../database/dialect'
import { isBackgroundedError, StoreUnavailableError } from '../../errors'
import { milliseconds } from '../../job/duration'
import type { JobEnvelope } from '../../job/envelope'
import type { Inspectable, InspectedJob, JobQuery, JobState } from '../contract/inspectable'
import { checkedIds, checkedPrune, checkedQuery, checkedQueue } from '../contract/inspection-arguments'
import {
  inspectionStatements,
  KEPT_STATES,
  type InspectionStatements,
  type KeptState,
  type RowFilter,
  type Statement,
} from './inspection-statements'
import type { JobDatabase } from './job-database'

/** Rows may be large. */
const PAGE = 100
const MOST_CHANGES = 500
/** Sizes of a list of ids, so that few statements differ. */
const SIZES = [1, 10, 100, MOST_CHANGES]
/** What the column of the ids can be compared with. */
const IDS: Readonly<Record<Dialect, RegExp>> = {
  sqlite: /^/,
  postgres: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  mariadb: /^[\x20-\x7e]*$/,
}

/** Looks at the jobs of one data source, and changes them by hand. Every step is bounded, and lets others have their turn. */
export class DatabaseInspection implements Inspectable {
  private readonly sql: InspectionStatements

  constructor(
    private readonly source: string,
    private readonly database: JobDatabase,
  ) {
    this.sql = inspectionStatements(database.tables, database.now)
  }

  async find(query: JobQuery = {}): Promise<InspectedJob[]> {
    const { limit = 100, key } = checkedQuery(query)
    const filter = this.filterOf(query)
    const found: InspectedJob[] = []
    let after: RowFilter['after']
    while (found.length < limit) {
      const size = key ? PAGE : Math.min(PAGE, limit - found.length)
      const rows = (await this.read(this.sql.find({ ...filter, after }, size))) as unknown as ShownRow[]
      found.push(...rows.map((row) => this.inspected(row)).filter(({ envelope }) => !key || hasKey(envelope, key)))
      after = rows.at(-1)
      if (rows.length < size) break
      await othersTurn()
    }
    return found.slice(0, limit)
  }

  async counts(): Promise<Record<JobState, number>> {
    const counts = { waiting: 0, running: 0, completed: 0, failed: 0, discarded: 0 }
    for (const { state, number } of await this.read(this.sql.counts(this.source))) {
      counts[state as JobState] = Number(number)
    }
    return counts
  }

  async retry(ids: readonly string[]): Promise<number> {
    return this.changeEach(checkedIds(ids, 'retry'), async (group) => {
      const retried = await this.change(this.sql.retry(group, this.source))
      if (retried > 0) this.database.wake()
      return retried
    })
  }

  async discard(ids: readonly string[]): Promise<number> {
    return this.changeEach(checkedIds(ids, 'discard'), (group) => this.change(this.sql.discard(group, this.source)))
  }

  async pause(queue: string): Promise<void> {
    await this.change(this.sql.pause(this.source, checkedQueue(queue, 'pause')))
  }

  async resume(queue: string): Promise<void> {
    await this.change(this.sql.resume(this.source, checkedQueue(queue, 'resume')))
    this.database.wake()
  }

  async prune(query: { before: Date; state?: JobState }): Promise<number> {
    const { before, state } = checkedPrune(query)
    let removed = 0
    for (const kept of KEPT_STATES)
      if (state === undefined || state === kept) removed += await this.pruneState(kept, before)
    return removed
  }

  private async pruneState(state: KeptState, before: number): Promise<number> {
    let removed = 0
    let from: unknown = Number.MIN_SAFE_INTEGER
    for (;;) {
      const rows = await this.read(this.sql.prunable(this.source, state, from, before, MOST_CHANGES))
      if (rows.length > 0) {
        const ids = padded(rows.map(({ id }) => id))
        const to = rows.at(-1)?.finishedAt
        removed += await this.change(this.sql.remove(ids, this.source, state, from, to))
        from = to
      }
      if (rows.length < MOST_CHANGES) return removed
      await othersTurn()
    }
  }

  private async changeEach(
    ids: readonly string[],
    change: (group: readonly string[]) => Promise<number>,
  ): Promise<number> {
    const known = [...new Set(ids)].filter((id) => IDS[this.database.tables.dialect].test(id))
    let changed = 0
    for (let start = 0; start < known.length; start += MOST_CHANGES) {
      if (start > 0) await othersTurn()
      const group = await this.visible(known.slice(start, start + MOST_CHANGES))
      if (group.length > 0) changed += await change(padded(group))
    }
    return changed
  }

  /**
   * Leaves out ids whose rows are not committed, because on MariaDB a change would wait for the transaction of the
   * call.
   */
  private async visible(ids: readonly string[]): Promise<readonly string[]> {
    if (this.database.tables.dialect !== 'mariadb') return ids
    const rows = await this.read(this.sql.visible(padded(ids), this.source))
    return rows.map(({ id }) => id as string)
  }

  private filterOf({ state, queue, entity, method, key, olderThan, newerThan }: JobQuery): RowFilter {
    return {
      source: this.source,
      state,
      queue,
      entity,
      method,
      keyLike: key && Object.values(key).flatMap(patternOf),
      olderThan: olderThan === undefined ? undefined : Math.round(milliseconds(olderThan, 'find: olderThan')),
      newerThan: newerThan === undefined ? undefined : Math.round(milliseconds(newerThan, 'find: newerThan')),
    }
  }

  private inspected(row: ShownRow): InspectedJob {
    const { id, state, attempt, error, entity, method, queue, priority, key, args, types, meta, attempts } = row
    const envelope = {
      v: 1,
      id,
      source: this.source,
      entity,
      ...(key !== null && { key: parsed(key) }),
      method,
      args: args === null ? [] : parsed(args),
      ...(types !== null && { types: parsed(types) }),
      queue,
      priority,
      enqueuedAt: isoTime(row.enqueuedAt),
      runAt: isoTime(row.runAt),
      meta: meta === null ? {} : parsed(meta),
      ...(attempts !== null && { attempts }),
    } as JobEnvelope
    return { id, state, envelope, attempt, error: error ?? undefined }
  }

  private read({ sql, values }: Statement): Promise<Record<string, unknown>[]> {
    return reached(this.database.read(sql, values))
  }

  private change({ sql, values }: Statement): Promise<number> {
    return reached(this.database.change(sql, values))
  }
}

/** Drivers return 64-bit integers as texts. */
interface ShownRow {
  readonly id: string
  readonly state: JobState
  readonly entity: string
  readonly key: string | null
  readonly method: string
  readonly args: string | null
  readonly types: string | null
  readonly queue: string
  readonly priority: number
  readonly runAt: number | string
  readonly enqueuedAt: number | string
  readonly meta: string | null
  readonly attempts: number | null
  readonly attempt: number
  readonly error: string | null
  readonly finishedAt: number | string | null
}

/** A row that was written by hand may hold a text that is not JSON, which is shown as it stands. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function isoTime(time: number | string): string {
  const date = new Date(Number(time))
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString()
}

function hasKey({ key }: JobEnvelope, wanted: Readonly<Record<string, unknown>>): boolean {
  return isDeepStrictEqual(key, { ...wanted })
}

/**
 * An object may have several JSON texts, so the database searches for the longest part of a value that is the same in all
 * of them. The rows that it finds are then compared in this process.
 */
function patternOf(value: unknown): string[] {
  const parts = String(value).split(/[^A-Za-z0-9 .:@-]+/)
  const longest = parts.reduce((a, b) => (b.length > a.length ? b : a))
  return longest ? [`%${longest}%`] : []
}

/** Repeats the last id up to one of a few lengths, so that there are few different statements. */
function padded<T>(ids: readonly T[]): T[] {
  const size = SIZES.find((each) => each >= ids.length) ?? ids.length
  return [...ids, ...Array<T>(size - ids.length).fill(ids.at(-1) as T)]
}

/** @throws StoreUnavailableError in place of a driver's error that means that the database cannot be reached */
async function reached<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (isBackgroundedError(error) || !(isConnectionError(error) || isBusyError(error))) throw error
    throw new StoreUnavailableError('The database of the jobs does not answer just now: try again.', { cause: error })
  }
}
