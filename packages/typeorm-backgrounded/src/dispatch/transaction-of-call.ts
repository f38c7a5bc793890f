import type { DataSource, QueryRunner } from 'typeorm'
import { AmbiguousDataSourceError, NotAttachedError } from '../errors'
import { shared } from '../metadata/registry'
import { checkManager, type CallOptions } from '../metadata/options'
import { ambientScope } from './ambient-transaction'
import type { Dispatcher } from './dispatcher'
import { classOf, notAttached, type Receiver } from './envelope-maker'
import { checkConnected, checkNotRolledBack } from './ended-transaction'
import type { OpenTransaction } from './open-transaction'

/** Which data source and transaction a call belongs to. */
export interface Route {
  readonly dispatcher: Dispatcher
  /** The transaction that the call belongs to. Absent when it is sent at once. */
  readonly transaction?: OpenTransaction
  /** The call named this runner, which is in no transaction that TypeORM knows of, and may be in one begun with a statement. */
  readonly runner?: QueryRunner
}

/** The dispatchers of the initialised data sources of this process. */
const dispatchers = shared('dispatchers', () => new Map<DataSource, Dispatcher>())

export function attachDispatcher(dispatcher: Dispatcher): void {
  dispatchers.set(dispatcher.host.dataSource, dispatcher)
}

export function detachDispatcher(dispatcher: Dispatcher): void {
  if (dispatchers.get(dispatcher.host.dataSource) === dispatcher) dispatchers.delete(dispatcher.host.dataSource)
}

/**
 * Finds the data source and the transaction of a call: what the call says, the transaction in which this very
 * entity was loaded or saved, the `transaction(…)` callback around the call or what typeorm-transactional has said
 * since, or none. Among several data sources, that of the running job goes before the others.
 * @throws NotAttachedError, AmbiguousDataSourceError, EnqueueError in a transaction that was lost or rolled back
 */
export function routeOf(receiver: Receiver, options?: CallOptions): Route {
  if (!isReceiver(receiver)) throw notAttached(receiver)
  const manager = options?.manager
  if (manager) return routeByManager(receiver, manager)
  if (manager === null) return { dispatcher: dispatcherHolding(receiver) ?? soleOwner(receiver) }
  return routeByEntity(receiver) ?? routeByAmbient(receiver) ?? routeByOwner(receiver)
}

function isReceiver(given: unknown): boolean {
  return typeof given === 'function' || (typeof given === 'object' && given !== null)
}

function routeByManager(receiver: Receiver, manager: NonNullable<CallOptions['manager']>): Route {
  checkManager(manager, `A call of ${classOf(receiver).name}`)
  const dispatcher = dispatcherOf(manager)
  if (!dispatcher) throw NotAttachedError.forEntity(classOf(receiver).name)
  const runner = manager.queryRunner
  if (!runner) return { dispatcher }
  if (runner.isReleased) checkNotRolledBack(dispatcher.transactions.rolledBackAt(runner))
  const transaction = dispatcher.transactions.following(runner)
  return runner.isTransactionActive || runner.isReleased ? { dispatcher, transaction } : { dispatcher, runner }
}

function routeByEntity(receiver: Receiver): Route | undefined {
  const dispatcher = dispatcherHolding(receiver)
  const transaction = dispatcher?.transactions.holding(receiver)
  return dispatcher && transaction && { dispatcher, transaction }
}

function dispatcherHolding(receiver: Receiver): Dispatcher | undefined {
  for (const dispatcher of dispatchers.values()) if (dispatcher.transactions.isHolding(receiver)) return dispatcher
  return undefined
}

function routeByAmbient(receiver: Receiver): Route | undefined {
  for (let scope = ambientScope(); scope; scope = scope.outer) {
    const { dataSource, transaction, shown } = scope
    const dispatcher = dispatchers.get(dataSource)
    if (!dispatcher || !owns(dispatcher, receiver)) continue
    if (shown && dataSource.manager !== shown) return routeByShownManager(dispatcher)
    checkConnected(transaction.runner)
    checkNotRolledBack(scope.failedAt ?? transaction.rolledBackAt)
    if (transaction.isOpen) return { dispatcher, transaction }
  }
  return undefined
}

function routeByOwner(receiver: Receiver): Route {
  return routeByShownManager(soleOwner(receiver))
}

/** typeorm-transactional shows its ambient transaction in the data source's manager, or that there is none. */
function routeByShownManager(dispatcher: Dispatcher): Route {
  const runner = dispatcher.host.dataSource.manager.queryRunner
  return { dispatcher, transaction: runner && dispatcher.transactions.following(runner) }
}

function soleOwner(receiver: Receiver): Dispatcher {
  let owner: Dispatcher | undefined
  let owners = 0
  for (const dispatcher of dispatchers.values()) {
    if (!owns(dispatcher, receiver)) continue
    owner ??= dispatcher
    owners++
  }
  if (owner && owners === 1) return owner
  if (!owner) throw notAttached(receiver)
  for (const dispatcher of dispatchers.values()) {
    if (owns(dispatcher, receiver) && dispatcher.host.runsCurrentJob()) return dispatcher
  }
  throw new AmbiguousDataSourceError(classOf(receiver).name, owners)
}

function owns(dispatcher: Dispatcher, receiver: Receiver): boolean {
  return dispatcher.host.dataSource.isInitialized && dispatcher.host.methods.ofClass(classOf(receiver)) !== undefined
}

function dispatcherOf(manager: { dataSource?: DataSource; connection?: DataSource }): Dispatcher | undefined {
  const dataSource = manager.dataSource ?? manager.connection // TypeORM 0.3 has only `connection`
  return dataSource && dispatchers.get(dataSource)
}
