import type { DataSource, EntityManager } from 'typeorm'
import { inAmbientScope, type OpenScope, type TransactionCallback } from './ambient-transaction'

/** What the managers of a data source tell of. */
export interface ManagerListener {
  readonly openScope: OpenScope
  /** A plain `insert()` of these rows; runs `work` and returns its result. */
  duringInsert<T>(rows: unknown, work: () => Promise<T>): Promise<T>
}

/**
 * Follows `transaction()` and `insert()` of every manager of one data source, and of no other one: the
 * managers get a prototype of their own between them and their class. TypeORM makes a manager for every
 * query, so nothing is defined on each of them.
 */
export function trackManagers(dataSource: DataSource, listener: ManagerListener): void {
  const tracked = new Map<object, object>()
  const track = (manager: EntityManager) => {
    const base = Object.getPrototypeOf(manager) as EntityManager
    let prototype = tracked.get(base)
    if (!prototype) tracked.set(base, (prototype = trackingPrototype(base, listener)))
    return Object.setPrototypeOf(manager, prototype) as EntityManager
  }
  const create = dataSource.createEntityManager.bind(dataSource)
  Object.defineProperty(dataSource, 'createEntityManager', {
    value: (...args: Parameters<typeof create>) => track(create(...args)),
    writable: true,
    configurable: true,
  })
  track(dataSource.manager)
}

function trackingPrototype(base: EntityManager, { openScope, duringInsert }: ManagerListener): object {
  const methods = {
    transaction(this: EntityManager, ...args: unknown[]) {
      // transaction(callback) or transaction(isolation, callback); DataSource passes a trailing undefined.
      const tracked = args.map((each) =>
        typeof each === 'function' ? inAmbientScope(each as TransactionCallback, openScope) : each,
      )
      return Reflect.apply(base.transaction as never, this, tracked) as unknown
    },
    insert(this: EntityManager, ...args: Parameters<EntityManager['insert']>) {
      return duringInsert(args[1], () => base.insert.apply(this, args))
    },
  }
  const prototype = Object.create(base) as object
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: false })
  }
  return prototype
}
