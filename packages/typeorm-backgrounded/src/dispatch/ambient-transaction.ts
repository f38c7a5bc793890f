import { AsyncLocalStorage } from 'node:async_hooks'
import { types } from 'node:util'
import type { DataSource, EntityManager, QueryRunner } from 'typeorm'
import { shared } from '../metadata/registry'
import type { OpenTransaction } from './open-transaction'
import { shownManager } from '../upstream/typeorm-transactional'

/** A `transaction(…)` callback that the current code runs in, and those around it. */
export interface AmbientScope {
  readonly dataSource: DataSource
  readonly transaction: OpenTransaction
  /** What typeorm-transactional showed as the data source's manager when the scope began, where it is used. */
  readonly shown?: EntityManager
  readonly outer?: AmbientScope
  /** When its callback has failed, by `performance.now()`: TypeORM rolls the transaction or the savepoint back then. */
  failedAt?: number
}

const storage = shared('ambient-transaction', () => new AsyncLocalStorage<AmbientScope | undefined>())

/** The innermost transaction callback around the current code. */
export function ambientScope(): AmbientScope | undefined {
  return storage.getStore()
}

/** Runs `work` as if no transaction callback were around it. */
export function outsideAmbientScopes<T>(work: () => T): T {
  return ambientScope() ? storage.run(undefined, work) : work()
}

/**
 * `callback`, run so that the transaction that its manager is in can be found from the code it calls. `run`,
 * not `enterWith`: the latter would show the transaction to code that merely started beside it.
 */
export function inAmbientScope(callback: TransactionCallback, open: OpenScope): TransactionCallback {
  return (manager) => {
    const opened = manager.queryRunner && open(manager.queryRunner)
    if (!opened) return callback(manager)
    const { dataSource, transaction } = opened
    const shown = shownManager(dataSource, callback, manager)
    const scope: AmbientScope = { dataSource, transaction, shown, outer: storage.getStore() }
    return storage.run(scope, () => noting(scope, () => callback(manager)))
  }
}

/** Runs the callback of a scope, and notes when it fails. */
function noting(scope: AmbientScope, work: () => unknown): unknown {
  const failed = () => {
    scope.failedAt = performance.now()
  }
  try {
    const result = work()
    if (types.isPromise(result)) result.then(undefined, failed)
    return result
  } catch (error) {
    failed()
    throw error
  }
}

export type TransactionCallback = (manager: EntityManager) => unknown

export type OpenScope = (runner: QueryRunner) => Pick<AmbientScope, 'dataSource' | 'transaction'> | undefined
