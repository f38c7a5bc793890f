import { LONGEST_NAME } from '../../database/column-types'
import { InvalidOptionError, PayloadTooLargeError, type BackgroundedError } from '../../errors'
import { asciiJson } from '../../job/ascii-json'
import type { JobEnvelope } from '../../job/envelope'
import { LARGEST_PAYLOAD } from '../../job/largest-payload'
import type { EnqueueResult } from '../contract/handler'

/** A row of the job table that is still to be inserted. */
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
  /** ms since the epoch. Null when `delay` counts from the moment of the write. */
  readonly runAt: number | null
  /** ms */
  readonly delay: number
  readonly enqueuedAt: number
  readonly meta: string | null
  readonly attempts: number | null
}

/** Turns a job into a row, or returns the error that says why it cannot be stored. */
export function newRow(job: JobEnvelope): NewRow | BackgroundedError {
  const row: NewRow = {
    id: job.id,
    source: job.source,
    entity: job.entity,
    key: job.key ? asciiJson(job.key) : null,
    method: job.method,
    args: asciiJson(job.args),
    types: job.types ? asciiJson(job.types) : null,
    queue: job.queue,
    priority: job.priority,
    runAt: job.delay === undefined && job.runAt !== job.enqueuedAt ? Date.parse(job.runAt) : null,
    delay: job.delay ?? 0,
    enqueuedAt: Date.parse(job.enqueuedAt),
    meta: Object.keys(job.meta).length > 0 ? asciiJson(job.meta) : null,
    attempts: job.attempts ?? null,
  }
  return tooLongName(row) ?? fit(row, LARGEST_PAYLOAD)
}

/** @param largest bytes of a row's texts */
export function fit(row: NewRow, largest: number): NewRow | BackgroundedError {
  const size = sizeOf(row)
  return size > largest ? PayloadTooLargeError.of(`${row.entity}.${row.method}`, size, largest) : row
}

/** A row that is written `ms` after its call. */
export function withElapsedDelay(row: NewRow, ms: number): NewRow {
  return row.delay === 0 ? row : { ...row, delay: Math.max(0, Math.round(row.delay - ms)) }
}

/** Bytes of a row's texts. */
export function sizeOf({ args, types, key, meta }: NewRow): number {
  return bytes(args) + bytes(types) + bytes(key) + bytes(meta)
}

function bytes(text: string | null): number {
  return text === null ? 0 : Buffer.byteLength(text)
}

/** One result for each job, in order. A job that was not inserted was in the table already. */
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
