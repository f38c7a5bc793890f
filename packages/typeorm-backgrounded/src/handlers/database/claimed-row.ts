import type { InFlightJob } from '../consumption/in-flight-job'
import type { BackgroundedJob } from './tables/job-table'

/** The columns in which the jobs of one lane differ. */
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

/** The columns that a call writes. */
export const CALLED = ['source', ...ENVELOPE] as const satisfies readonly (keyof BackgroundedJob)[]

/** The columns that a claim reads. */
export const CLAIMED = [
  ...ENVELOPE,
  'attempt',
  'suspect',
  'lease',
  'releasedSince',
] as const satisfies readonly (keyof BackgroundedJob)[]

/** The largest number of attempts that a claim can still add 1 to. Plain SQL may have written a larger one. */
export const MOST_ATTEMPTS = 2 ** 31 - 2

/** A claimed row, with its properties as keys and times as numbers. */
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

/** A job that this worker has claimed. */
export type InFlightRow = InFlightJob<ClaimedRow>

/** Turns times into numbers, because drivers return 64-bit integers as texts. Changes `row` itself. */
export function claimedRow(row: Record<string, unknown>): ClaimedRow {
  row.runAt = Number(row.runAt)
  row.enqueuedAt = Number(row.enqueuedAt)
  if (row.releasedSince !== null) row.releasedSince = Number(row.releasedSince)
  return row as unknown as ClaimedRow
}
