import type { QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../job/envelope'
import type { ConsumeOptions, EnqueueResult } from '../handler'
import type { JobStore } from '../store-consumption'

/** The jobs of one data source in one kind of database. */
export interface JobDatabase {
  /** Jobs at a time, where nobody says. */
  readonly concurrency: number
  enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<EnqueueResult[]>
  /** Jobs that were written in a transaction are there now. */
  committed(jobs: readonly JobEnvelope[]): void
  /** @throws UnsupportedDatabaseError */
  open(options: ConsumeOptions): JobStore
  /** Runs one of the statements that all dialects share, with `?` for each value, outside of any transaction. */
  run(sql: string, values: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** An expression for the time now, in ms since the epoch. */
  readonly now: string
  close(): void | Promise<void>
}
