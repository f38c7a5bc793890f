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
  /** Turns a job into a row, or returns what is wrong with the job, with which the call rejects at once. */
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
  withAdvice(error: unknown): unknown
}

/** A handler of this library that writes rows. Every other handler gets `enqueue` with the runner. */
export interface WritesRows {
  transactionRows(): TransactionRows<unknown>
}

/** For a handler without rows: its own `enqueue`, with the rest of each delay. */
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
    withAdvice: (error) => error,
  }
}

/** The job with what is left of its delay `ms` after its call. */
function withElapsedDelay(job: JobEnvelope, ms: number): JobEnvelope {
  return job.delay === undefined ? job : { ...job, delay: Math.max(0, Math.round(job.delay - ms)) }
}
