import type { EntityManager, QueryRunner } from 'typeorm'
import type { MethodOptions } from './options'

/* eslint-disable @typescript-eslint/no-explicit-any -- a row whose class nobody named */

/** What happened to a row. */
export type RowEvent = 'insert' | 'update' | 'softRemove' | 'recover'

/** What `when` is told about the row's event. */
export interface AfterCommitEvent {
  readonly type: RowEvent
  readonly manager: EntityManager
  readonly queryRunner: QueryRunner
  /** The row before an update, where TypeORM loaded it. */
  readonly databaseEntity?: object
  /** Property paths that an update changed; empty for other events. */
  readonly updatedColumns: readonly string[]
}

export interface AfterCommitOptions<T = any> extends MethodOptions {
  /** Default `'insert'`. `'softRemove'` implies `withDeleted`. */
  readonly on?: RowEvent | readonly RowEvent[]
  /**
   * Enqueue only where this holds; called inside the transaction, and answers at once. `entity` is an instance of the
   * class with the row's whole state as far as TypeORM knows it, whatever was passed to `save`.
   */
  readonly when?: (entity: T, event: AfterCommitEvent) => boolean
}
