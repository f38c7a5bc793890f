import { AsyncLocalStorage } from 'node:async_hooks'
import type { DataSource, EntityManager, QueryRunner } from 'typeorm'
import { shared } from '../metadata/registry'
import type { OpenTransaction } from './open-transaction'

/** A `transaction(…)` callback that the current code runs in, and those around it. */
export interface AmbientScope {
  readonly dataSource: DataSource
  readonly transaction: OpenTransaction
  readonly outer?: AmbientScope
}

const storage = shared('ambient-transaction', () => new AsyncLocalStorage<AmbientScope | undefined>())

/** The transaction callbacks around the current code, innermost first. */
export function* ambientScopes(): Generator<AmbientScope> {
  for (let scope = storage.getStore(); scope; scope = scope.outer) yield scope
}

/** Runs `work` as if no transaction callback were around it. */
export function outsideAmbientScopes<T>(work: () => T): T {
  return storage.run(undefined, work)
}

/**
 * Makes the callback of this manager's `transaction()` findable from the code it calls. `run`, not
 * `enterWith`: the latter would show the transaction to code that merely started beside it.
 */
export function trackTransactionsOf(
  manager: EntityManager,
  open: (runner: QueryRunner) => { dataSource: DataSource; transaction: OpenTransaction } | undefined,
): void {
  const transaction = manager.transaction.bind(manager) as (...args: unknown[]) => Promise<unknown>
  const tracked = (...args: unknown[]) => {
    // transaction(callback) or transaction(isolation, callback); DataSource passes a trailing undefined.
    const callback = args.find((each) => typeof each === 'function')
    if (!callback) return transaction(...args)
    const inScope = (inner: EntityManager) => {
      const opened = inner.queryRunner && open(inner.queryRunner)
      if (!opened) return (callback as Callback)(inner)
      return storage.run({ ...opened, outer: storage.getStore() }, () => (callback as Callback)(inner))
    }
    return transaction(...args.map((each) => (each === callback ? inScope : each)))
  }
  Object.defineProperty(manager, 'transaction', {
    value: tracked,
    writable: true,
    configurable: true,
    enumerable: false,
  })
}

type Callback = (manager: EntityManager) => unknown
