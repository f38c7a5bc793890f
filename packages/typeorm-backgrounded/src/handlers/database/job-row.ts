import { LONGEST_NAME } from '../../column-types'
import { InvalidOptionError, PayloadTooLargeError, type BackgroundedError } from '../../errors'
import type { JobEnvelope } from '../../job/envelope'
import { LARGEST_PAYLOAD } from '../../job/largest-payload'
import type { EnqueueResult } from '../handler'

/** Bytes of texts in one statement. */
const LARGEST_GROUP = 1_000_000
const MOST_ROWS = 500

/** A job on its way into the table. */
export interface NewRow {
  readonly id: string
  readonly source: string
  readonly entity: string
  readonly key: string | null
  readonly method: string
  readonly args: string
  readonly types: string | null
  readonly queue: string
  readonly priority: number
  /** ms since the epoch; null: counted from the moment of the write. */
  readonly runAt: number | null
  /** ms */
  readonly delay: number
  readonly enqueuedAt: number
  readonly meta: string | null
  readonly attempts: number | null
}

/** A job as a row, or why it cannot be one. */
export function newRow(job: JobEnvelope, largestPayload = LARGEST_PAYLOAD): NewRow | BackgroundedError {
  const row: NewRow = {
    id: job.id,
    source: job.source,
    entity: job.entity,
    key: job.key ? JSON.stringify(job.key) : null,
    method: job.method,
    args: JSON.stringify(job.args),
    types: job.types ? JSON.stringify(job.types) : null,
    queue: job.queue,
    priority: job.priority,
    runAt: job.delay === undefined && job.runAt !== job.enqueuedAt ? Date.parse(job.runAt) : null,
    delay: job.delay ?? 0,
    enqueuedAt: Date.parse(job.enqueuedAt),
    meta: Object.keys(job.meta).length > 0 ? JSON.stringify(job.meta) : null,
    attempts: job.attempts ?? null,
  }
  const size = sizeOf(row)
  if (size > largestPayload) return PayloadTooLargeError.of(`${job.entity}.${job.method}`, size, largestPayload)
  return tooLongName(row) ?? row
}

/** Bytes of a row's texts. */
export function sizeOf({ args, types, key, meta }: NewRow): number {
  return bytes(args) + bytes(types) + bytes(key) + bytes(meta)
}

function bytes(text: string | null): number {
  return text === null ? 0 : Buffer.byteLength(text)
}

/** Rows that travel in one statement: it is short enough for others to have their turn. */
export class RowGroup {
  readonly rows: NewRow[] = []
  private size = 0

  /** @param largest bytes of texts; one row may have more */
  constructor(private readonly largest = LARGEST_GROUP) {}

  /** False: it goes with the next group. */
  take(row: NewRow): boolean {
    const size = this.size + sizeOf(row)
    if (this.rows.length > 0 && (this.rows.length >= MOST_ROWS || size > this.largest)) return false
    this.rows.push(row)
    this.size = size
    return true
  }
}

/** @param largest bytes of texts in one group */
export function inGroups(rows: readonly NewRow[], largest = LARGEST_GROUP): (readonly NewRow[])[] {
  const groups: RowGroup[] = []
  for (const row of rows) {
    if (groups.at(-1)?.take(row)) continue
    const group = new RowGroup(Math.min(largest, LARGEST_GROUP))
    group.take(row)
    groups.push(group)
  }
  return groups.map((group) => group.rows)
}

/** One result per job, in order: what was refused, and of the others which the table had already. */
export function resultsOf(rows: readonly (NewRow | Error)[], inserted: ReadonlySet<string>): EnqueueResult[] {
  return rows.map((row) => {
    if (row instanceof Error) return { state: 'failed', error: row }
    return { state: inserted.has(row.id) ? 'enqueued' : 'duplicate' }
  })
}

export function isRow(row: NewRow | Error): row is NewRow {
  return !(row instanceof Error)
}

function tooLongName(row: NewRow): InvalidOptionError | undefined {
  for (const what of ['queue', 'entity', 'method'] as const) {
    if (String(row[what]).length <= LONGEST_NAME) continue
    return new InvalidOptionError(
      `The ${what} "${row[what].slice(0, 40)}…" has more than ${LONGEST_NAME} characters: choose a shorter name.`,
    )
  }
  return undefined
}
