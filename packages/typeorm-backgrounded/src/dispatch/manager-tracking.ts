import { InstanceChecker, type DataSource, type EntityManager, type QueryRunner } from 'typeorm'
import { shared } from '../metadata/registry'
import { inAmbientScope, type OpenScope, type TransactionCallback } from './ambient-transaction'
import type { Touch } from './touched-entities'

/** What the managers of a data source report. */
export interface ManagerListener {
  readonly openScope: OpenScope
  /** A plain `insert()` of these rows; runs `work` and returns its result. */
  duringInsert<T>(rows: unknown, runner: QueryRunner | undefined, work: () => Promise<T>): Promise<T>
  /** A write of entities, or what it returned, because TypeORM emits events only for rows that change. */
  touched(entities: unknown, touch: Touch, runner: QueryRunner | undefined): void
}

type Method = (...args: unknown[]) => unknown
/** Calls a manager's own method, and reports it to the listener. */
type Reporting = (listener: ManagerListener, manager: EntityManager, own: Method, args: unknown[]) => unknown

const listeners = shared('manager-listeners', () => new WeakMap<DataSource, ManagerListener>())
const tracked = shared('tracked-managers', () => new WeakSet<object>())

/**
 * Follows the transactions and writes of every manager of one data source. Repositories and query runners may have managers
 * that were made before, so the methods of the class are wrapped. Managers of other data sources report nothing.
 */
export function trackManagers(dataSource: DataSource, listener: ManagerListener): void {
  listeners.set(dataSource, listener)
  for (
    let prototype = Object.getPrototypeOf(dataSource.manager) as object;
    prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype) as object
  ) {
    if (tracked.has(prototype)) continue
    tracked.add(prototype)
    for (const name of Object.keys(METHODS)) wrap(prototype, name, METHODS[name] as Reporting)
  }
}

function wrap(prototype: object, name: string, report: Reporting): void {
  const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
  if (typeof descriptor?.value !== 'function') return
  const own = descriptor.value as Method
  const method = function (this: EntityManager, ...args: unknown[]): unknown {
    const listener = listeners.get(this.dataSource ?? this.connection) // TypeORM 0.3 has only `connection`
    return listener ? report(listener, this, own, args) : own.apply(this, args)
  }
  Object.defineProperties(method, { name: { value: name }, length: { value: own.length } })
  Object.defineProperty(prototype, name, { ...descriptor, value: method })
}

function write(touch: Touch): Reporting {
  return ({ touched }, manager, own, args) => {
    touched(writtenEntities(args), touch, manager.queryRunner)
    return own.apply(manager, args)
  }
}

const METHODS: Readonly<Record<string, Reporting>> = {
  transaction: ({ openScope }, manager, own, args) => {
    // transaction(callback) or transaction(isolation, callback); DataSource passes a trailing undefined.
    const scoped = args.map((each) =>
      typeof each === 'function' ? inAmbientScope(each as TransactionCallback, openScope) : each,
    )
    return own.apply(manager, scoped)
  },
  insert: ({ duringInsert }, manager, own, args) =>
    duringInsert(args[1], manager.queryRunner, () => own.apply(manager, args) as Promise<unknown>),
  preload: async ({ touched }, manager, own, args) => {
    const entity = await own.apply(manager, args)
    touched(entity, 'preload', manager.queryRunner)
    return entity
  },
  merge: ({ touched }, manager, own, args) => {
    touched(args[1], 'merge', manager.queryRunner)
    return own.apply(manager, args)
  },
  save: write('save'),
  remove: write('remove'),
  softRemove: write('softRemove'),
  recover: write('recover'),
}

/** `save(entities, options)` or `save(target, entities, options)`, where a target is a class, a name or a schema. */
function writtenEntities(args: readonly unknown[]): unknown {
  const [first, second] = args
  const isTarget = typeof first === 'function' || typeof first === 'string' || InstanceChecker.isEntitySchema(first)
  return args.length > 1 && isTarget ? second : first
}
