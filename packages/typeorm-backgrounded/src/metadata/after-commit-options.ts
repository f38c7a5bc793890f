import type { EntityManager, QueryRunner } from 'typeorm'
import type { MethodOptions } from './options'

/* eslint-disable @typescript-eslint/no-explicit-any -- the class of the row is not known here */

/** What happened to a row. */
export type RowEvent = 'insert' | 'update' | 'softRemove' | 'recover'

/** What happened to the row, as `when` receives it. */
export interface AfterCommitEvent {
  readonly type: RowEvent
  readonly manager: EntityManager
  readonly queryRunner: QueryRunner
  /** The row before an update, if TypeORM loaded it. */
  readonly databaseEntity?: object
  /** The property paths that an update changed; empty for other events. */
  readonly updatedColumns: readonly string[]
}

export interface AfterCommitOptions<T = any> extends MethodOptions {
  /** Default `'insert'`. `'softRemove'` implies `withDeleted`. */
  readonly on?: RowEvent | readonly RowEvent[]
  /**
   * Enqueues the method only if this returns true. It is called inside the transaction and must answer at once, so a
   * promise is refused. Whatever was passed to `save`, `entity` is an instance of the class, with as much of the row's
   * state as TypeORM knows.
   */
  readonly when?: (entity: T, event: AfterCommitEvent) => boolean
}
