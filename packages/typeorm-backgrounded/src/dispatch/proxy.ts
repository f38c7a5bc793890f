import type { BaseEntity } from 'typeorm'
import { NotBackgroundedError } from '../errors'
import { EntityReference, type EntityClass } from '../job/entity-reference'
import type { CallOptions } from '../options'
import type { JobReceipt } from './dispatcher'
import { enqueueCall, enqueueCalls } from './calls'
import { classOf } from './envelope-maker'

/* eslint-disable @typescript-eslint/no-explicit-any -- `any` is how TypeScript says "whatever the method takes" */

/** A parameter where an entity may stand as a reference too. */
export type OrReference<P> = P extends string | number | boolean | bigint | symbol | null | undefined | Date
  ? P
  : P extends readonly (infer Item)[]
    ? P | OrReference<Item>[]
    : P extends object
      ? P | EntityReference<P>
      : P

type CallParameters<P extends unknown[]> = { [Index in keyof P]: OrReference<P[Index]> }

/**
 * The type of a generated method: the same parameters, and a receipt.
 * @example declare sendWelcomeBackgrounded: InBackground<User['sendWelcome']>
 */
export type InBackground<F extends (...args: any[]) => unknown> = F extends (...args: infer P) => unknown
  ? (...args: CallParameters<P>) => Promise<JobReceipt>
  : never

type MethodNames<T> = {
  [K in keyof T]: K extends `${string}Backgrounded` | keyof BaseEntity | 'prototype'
    ? never
    : T[K] extends (...args: any[]) => unknown
      ? K
      : never
}[keyof T]

/** `backgrounded(user).sendWelcome('x')`: the methods of `T`, each in the background. */
export type BackgroundedMethods<T> = {
  readonly [K in MethodNames<T>]: T[K] extends (...args: infer P) => unknown
    ? (...args: CallParameters<P>) => Promise<JobReceipt>
    : never
}

/** The same for many rows: one receipt for each, in order. */
export type BackgroundedMethodsOfMany<T> = {
  readonly [K in MethodNames<T>]: T[K] extends (...args: infer P) => unknown
    ? (...args: CallParameters<P>) => Promise<JobReceipt[]>
    : never
}

/** The same call for many rows, in one write; receipts in order. */
export function backgrounded<T extends object>(
  entities: readonly (T | EntityReference<T>)[],
  options?: CallOptions,
): BackgroundedMethodsOfMany<T>
/** The static methods of a class. */
export function backgrounded<C extends EntityClass>(
  entityClass: C,
  options?: CallOptions,
): BackgroundedMethods<Omit<C, keyof typeof BaseEntity>>
/** The row that a reference stands for. */
export function backgrounded<T extends object>(
  entity: EntityReference<T>,
  options?: CallOptions,
): BackgroundedMethods<T>
/**
 * The methods of `entity`, each in the background: for options of one call, and where no generated method is
 * declared. An unmarked method rejects with NotBackgroundedError.
 * @example await backgrounded(user, { delay: '5m' }).sendWelcome('spring')
 */
export function backgrounded<T extends object>(entity: T, options?: CallOptions): BackgroundedMethods<T>
export function backgrounded(target: object, options: CallOptions = {}): object {
  const call = Array.isArray(target)
    ? (property: string, args: unknown[]) => enqueueCalls(target as object[], property, args, options)
    : (property: string, args: unknown[]) => enqueueCall(target, property, args, options)
  return new Proxy(Object.create(null) as object, {
    get(_, property) {
      // Whoever awaits or prints the proxy must not call anything.
      if (typeof property === 'symbol' || property === 'then') return undefined
      return { [property]: async (...args: unknown[]) => await call(property, args) }[property]
    },
    set(_, property) {
      throw new NotBackgroundedError(Array.isArray(target) ? 'the list' : classOf(target).name, String(property))
    },
  })
}
