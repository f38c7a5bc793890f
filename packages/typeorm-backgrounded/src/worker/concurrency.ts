import type { DataSource } from 'typeorm'
import type { Logger } from '../logger'

const DEFAULT = 10

/** Here TypeORM has one connection, and so one transaction, for all code of a process. */
const ONE_CONNECTION = new Set<string>([
  'better-sqlite3',
  'sqlite',
  'sqljs',
  'expo',
  'cordova',
  'capacitor',
  'react-native',
  'nativescript',
])

/** Where a worker's jobs run. */
export interface Surroundings {
  readonly dataSource: DataSource
  /** A test's own transaction is open, and every job runs inside it. */
  readonly isInsideTestTransaction: boolean
  readonly logger: Logger
}

/**
 * How many jobs run at a time. It depends on the connections of the methods, not on the store of the jobs: methods that
 * share a connection share a transaction, and a rollback by one would undo what another has done.
 */
export function concurrencyOf(asked: number | undefined, where: Surroundings): number {
  const isShared = ONE_CONNECTION.has(where.dataSource.options.type)
  if (asked === undefined) return isShared || where.isInsideTestTransaction ? 1 : DEFAULT
  if (asked > 1 && isShared) {
    where.logger.warn(
      { concurrency: asked },
      'several jobs at a time share the one connection that TypeORM has on SQLite, and so one transaction: only for methods that open none',
    )
  }
  return asked
}
