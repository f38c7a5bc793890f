import type { QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../job/envelope'
import type { EnqueueResult } from './handler'

/** A call in a transaction whose row is still to be written. */
export interface HeldCall<Row> {
  readonly row: Row
  /** When it was made, by `performance.now()`: a delay counts from then. */
  readonly since: number
}

/** How a store in the caller's own database writes the jobs of a transaction: several at a time, and before its commit. */
export interface TransactionRows<Row> {
  /** The job as a row, or what is wrong with the job itself, which the call is told at once. */
  rowOf(job: JobEnvelope): Row | Error
  /** Bytes of a row's texts. */
  sizeOf(row: Row): number
  /** Writes with the caller's runner; one result per call, in order. */
  write(calls: readonly HeldCall<Row>[], transaction: QueryRunner): Promise<readonly EnqueueResult[]>
  /**
   * The same as one statement of SQL without parameters, where database and client take several statements in one text.
   */
  statement?(calls: readonly HeldCall<Row>[]): string
  /** @returns the database's error as a caller is to see it */
  explained(error: unknown): unknown
}

/** A handler that writes rows, for those of this library. A handler of one's own is given `enqueue` with the runner. */
export interface WritesRows {
  transactionRows(): TransactionRows<unknown>
}

/** What serves a handler that has no rows to show: its own `enqueue`, with as much of a delay as is left. */
export function rowsOfEnqueue(
  enqueue: (jobs: readonly JobEnvelope[], transaction: QueryRunner) => Promise<readonly EnqueueResult[]>,
): TransactionRows<JobEnvelope> {
  return {
    rowOf: (job) => job,
    sizeOf: () => 0,
    write(calls, transaction) {
      const now = performance.now()
      return enqueue(
        calls.map(({ row, since }) => withElapsedDelay(row, now - since)),
        transaction,
      )
    },
    explained: (error) => error,
  }
}

/** A job with a delay, `ms` after its call. */
function withElapsedDelay(job: JobEnvelope, ms: number): JobEnvelope {
  return job.delay === undefined ? job : { ...job, delay: Math.max(0, Math.round(job.delay - ms)) }
}
