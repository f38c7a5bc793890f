import type { BuiltInConsumeOptions } from '../contract/built-in'
import type { QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../job/envelope'
import type { EnqueueResult } from '../contract/handler'
import type { JobStore } from '../consumption/job-store'
import type { TransactionRows } from '../contract/transaction-rows'
import type { InFlightRow } from './claimed-row'
import type { NewRow } from './job-row'
import type { JobTables } from './tables'

/** The jobs of one data source in one kind of database. */
export interface JobDatabase {
  enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<EnqueueResult[]>
  /** How the jobs of a caller's transaction are written. */
  readonly transactionRows: TransactionRows<NewRow>
  /** Called when jobs that were written in a transaction are committed. */
  committed(jobs: readonly JobEnvelope[]): void
  /** @throws UnsupportedDatabaseError */
  open(options: BuiltInConsumeOptions): JobStore<InFlightRow>
  /** Wakes idle workers, because any job may be due now. */
  wake(): void
  readonly tables: JobTables
  /** An expression for the time now, in ms since the epoch. */
  readonly now: string
  /** Returns the rows of one of the statements that all dialects share, outside any transaction. Each value is a `?`. */
  read(sql: string, values: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** Runs such an INSERT, UPDATE or DELETE, and returns how many rows it has changed. */
  change(sql: string, values: readonly unknown[]): Promise<number>
  close(): void | Promise<void>
  /** Called when all workers have stopped: gives up what those that did not end in time still wait for. */
  abandonWorkers?(): void
}
