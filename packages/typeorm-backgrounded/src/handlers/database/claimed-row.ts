import type { InFlightJob } from '../consumption/in-flight-job'
import type { BackgroundedJob } from './tables/job-table'

/** What each job has of its own: whole lanes of jobs share the rest. */
export const OWN = [
  'id',
  'entity',
  'key',
  'method',
  'args',
  'types',
  'runAt',
  'enqueuedAt',
  'meta',
  'attempts',
] as const satisfies readonly (keyof BackgroundedJob)[]

const ENVELOPE = [...OWN, 'queue', 'priority'] as const

/** What a call writes into a row. */
export const CALLED = ['source', ...ENVELOPE] as const satisfies readonly (keyof BackgroundedJob)[]

/** What a claim reads of a row. */
export const CLAIMED = [
  ...ENVELOPE,
  'attempt',
  'suspect',
  'lease',
  'releasedSince',
] as const satisfies readonly (keyof BackgroundedJob)[]

/** Of what plain SQL may have written: one more still fits into the column. */
export const MOST_ATTEMPTS = 2 ** 31 - 2

/** A claimed row, by property, times as numbers. */
export interface ClaimedRow {
  readonly id: string
  readonly entity: string
  readonly key: string | null
  readonly method: string
  readonly args: string | null
  readonly types: string | null
  readonly queue: string
  readonly priority: number
  readonly runAt: number
  readonly enqueuedAt: number
  readonly meta: string | null
  readonly attempts: number | null
  readonly attempt: number
  readonly suspect: number
  readonly lease: number
  readonly releasedSince: number | null
}

/** A row whose job is in the hands of this worker. */
export type InFlightRow = InFlightJob<ClaimedRow>

/** Drivers hand out the database's longest integers as text. Changes `row` itself. */
export function claimedRow(row: Record<string, unknown>): ClaimedRow {
  row.runAt = Number(row.runAt)
  row.enqueuedAt = Number(row.enqueuedAt)
  if (row.releasedSince !== null) row.releasedSince = Number(row.releasedSince)
  return row as unknown as ClaimedRow
}
