import { InstanceChecker, type DataSource, type EntityManager, type QueryRunner } from 'typeorm'
import { inAmbientScope, type OpenScope, type TransactionCallback } from './ambient-transaction'
import type { Touch } from './touched-entities'

/** What the managers of a data source tell of. */
export interface ManagerListener {
  readonly openScope: OpenScope
  /** A plain `insert()` of these rows; runs `work` and returns its result. */
  duringInsert<T>(rows: unknown, work: () => Promise<T>): Promise<T>
  /** A write of entities, or what it returned; TypeORM's events tell of rows that change only. */
  touched(entities: unknown, touch: Touch, runner: QueryRunner | undefined): void
}

type Method = (...args: unknown[]) => unknown

const WRITES = ['save', 'remove', 'softRemove', 'recover'] as const

/**
 * Follows the transactions and writes of every manager of one data source, and of no other one: the
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

function trackingPrototype(base: EntityManager, { openScope, duringInsert, touched }: ManagerListener): object {
  const methods: Record<string, unknown> = {
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
    async preload(this: EntityManager, ...args: Parameters<EntityManager['preload']>) {
      const entity = await base.preload.apply(this, args)
      touched(entity, 'preload', this.queryRunner)
      return entity
    },
    merge(this: EntityManager, ...args: Parameters<EntityManager['merge']>) {
      touched(args[1], 'merge', this.queryRunner)
      return base.merge.apply(this, args)
    },
  }
  for (const name of WRITES) {
    methods[name] = function (this: EntityManager, ...args: unknown[]) {
      touched(writtenEntities(args), name, this.queryRunner)
      return (base[name] as Method).apply(this, args)
    }
  }
  const prototype = Object.create(base) as object
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true, enumerable: false })
  }
  return prototype
}

/** `save(entities, options)` or `save(target, entities, options)`, where a target is a class, a name or a schema. */
function writtenEntities(args: readonly unknown[]): unknown {
  const [first, second] = args
  const isTarget = typeof first === 'function' || typeof first === 'string' || InstanceChecker.isEntitySchema(first)
  return args.length > 1 && isTarget ? second : first
}
