import type { QueryRunner } from 'typeorm'
import type { Logger } from '../logger'

/** A row that is still to be inserted. */
export interface NewRow {
  readonly id: string
  /** The envelope, as JSON. */
  readonly payload: string
}

/** A row that this process has leased, so that no other process pushes its job. */
export interface TakenRow extends NewRow {
  /** ms since it was written. */
  readonly age: number
}

/** The outbox of one data source in one kind of database. All times are by the database's clock. */
export interface OutboxStore {
  /** Writes inside the caller's transaction. Relays leave the rows alone for `lease` ms. */
  insertInTransaction(rows: readonly NewRow[], lease: number, transaction: QueryRunner): Promise<void>
  /** What `write` does, as one statement without parameters, where database and client take several in one text. */
  readonly statement?: (rows: readonly NewRow[], lease: number) => string
  /** Writes outside any transaction. Relays may take the rows at once. */
  insertCommitted(rows: readonly NewRow[]): Promise<void>
  /**
   * Leases rows for this destination, or for any, whose leases have ended, the oldest first, for `lease` ms.
   * @param ids only these
   */
  take(limit: number, lease: number, ids?: readonly string[]): Promise<TakenRow[]>
  /** Lets relays take rows after `delay` ms. */
  release(ids: readonly string[], delay: number): Promise<void>
  remove(ids: readonly string[]): Promise<void>
  /** Another destination for which rows have been waiting for longer than `age` ms. */
  stranded(age: number): Promise<string | undefined>
  /** Rejects with the database's error when the table is missing. */
  check(): Promise<void>
  close(): void
}

export interface OutboxStoreHost {
  readonly source: string
  readonly logger: Logger
  /** Destination of the handler. Rows for another one, which another application may have written, are left alone. */
  readonly destination: string
  /** Adds advice to an error of the database. */
  withAdvice(error: unknown): unknown
  isInsideTestTransaction(): boolean
}
