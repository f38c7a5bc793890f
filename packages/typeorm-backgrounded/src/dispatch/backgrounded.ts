import type { BaseEntity } from 'typeorm'
import { NotBackgroundedError } from '../errors'
import { EntityReference, type EntityClass } from '../job/entity-reference'
import type { CallOptions } from '../metadata/options'
import type { JobReceipt } from './job-receipt'
import { enqueueCall, enqueueCalls } from './calls'
import { classOf } from './envelope-maker'

/** Values that are stored as they are: no row stands behind them. */
type Plain =
  | string
  | number
  | boolean
  | bigint
  | symbol
  | null
  | undefined
  | Date
  | Uint8Array
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | readonly unknown[]
  | ((...args: never) => unknown)

/** References to entities in `P`. A dictionary is not an entity, and recursive JSON types end here. */
type ReferenceTo<P> = P extends Plain
  ? never
  : P extends object
    ? string extends keyof P
      ? never
      : EntityReference<P>
    : never

/** A parameter where an entity may stand as a reference too, alone or in a list. */
export type OrReference<P> = P extends readonly unknown[]
  ? [ReferenceTo<P[number]>] extends [never]
    ? P
    : { [Index in keyof P]: P[Index] | ReferenceTo<P[Index]> }
  : P | ReferenceTo<P>

type CallParameters<P extends unknown[]> = { [Index in keyof P]: OrReference<P[Index]> }

type Call<F, Result> = F extends (...args: infer P) => unknown ? (...args: CallParameters<P>) => Promise<Result> : never

/**
 * The type of a generated method: the same parameters, and a receipt.
 * @example declare sendWelcomeBackgrounded: InBackground<User['sendWelcome']>
 */
export type InBackground<F extends (...args: never[]) => unknown> = Call<F, JobReceipt>

/** Names of TypeORM's own methods on a class, which are never marked. */
type InheritedNames<T> = T extends BaseEntity
  ? keyof BaseEntity
  : T extends EntityClass<BaseEntity>
    ? keyof typeof BaseEntity
    : never

type MethodNames<T> = {
  [K in keyof T]: K extends `${string}Backgrounded` | InheritedNames<T>
    ? never
    : T[K] extends (...args: never[]) => unknown
      ? K
      : never
}[keyof T]

/** `backgrounded(user).sendWelcome('x')`: the methods of `T`, each in the background. */
export type BackgroundedMethods<T> = {
  readonly [K in MethodNames<T>]: Call<T[K], JobReceipt>
}

/** The same for many rows: one receipt for each, in order. */
export type BackgroundedMethodsOfMany<T> = {
  readonly [K in MethodNames<T>]: Call<T[K], JobReceipt[]>
}

/** `backgrounded(Album).rebuildIndex()`: the static methods of a class. */
export type BackgroundedStaticMethods<C> = {
  readonly [K in MethodNames<C>]: Call<C[K], JobReceipt>
}

// Conditional types, so that the compiler looks through `this` and other type parameters to their constraint.
type MethodsOf<T> = T extends object ? BackgroundedMethods<T> : never
type MethodsOfMany<T> = T extends object ? BackgroundedMethodsOfMany<T> : never
type StaticMethodsOf<C> = C extends object ? BackgroundedStaticMethods<C> : never

/** The same call for many rows, in one write; receipts in order. */
export function backgrounded<T extends object>(
  entities: readonly (T | EntityReference<T>)[],
  options?: CallOptions,
): MethodsOfMany<T>
/** The static methods of a class. */
export function backgrounded<C extends EntityClass>(entityClass: C, options?: CallOptions): StaticMethodsOf<C>
/** The row that a reference stands for. */
export function backgrounded<T extends object>(entity: EntityReference<T>, options?: CallOptions): MethodsOf<T>
/**
 * The methods of `entity`, each in the background: for options of one call, and where no generated method is
 * declared. An unmarked method rejects with NotBackgroundedError.
 * @example await backgrounded(user, { delay: '5m' }).sendWelcome('spring')
 */
export function backgrounded<T extends object>(entity: T, options?: CallOptions): MethodsOf<T>
export function backgrounded(target: object, options: CallOptions = {}): object {
  const call = Array.isArray(target)
    ? (property: string, args: unknown[]) => enqueueCalls(target as object[], property, args, options)
    : (property: string, args: unknown[]) => enqueueCall(target, property, args, options)
  return new Proxy(Object.create(null) as object, {
    get(_, property) {
      // Code that awaits or prints the proxy must not call anything.
      if (typeof property === 'symbol' || property === 'then') return undefined
      return { [property]: async (...args: unknown[]) => await call(property, args) }[property]
    },
    set(_, property) {
      throw new NotBackgroundedError(Array.isArray(target) ? 'the list' : classOf(target).name, String(property))
    },
  })
}
