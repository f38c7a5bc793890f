import { InvalidDeclarationError, InvalidOptionError } from '../errors'
import { checkMethodOptions, type MethodOptions } from './options'
import { checkFunction, checkIsObject, checkKnown, quoted } from '../job/known-options'
import type { AfterCommitOptions, RowEvent } from './after-commit-options'
import { defineBackgroundedMethod } from './generated-method'
import { declare, type Class, type MethodDeclaration } from './registry'

type Method = (...args: never[]) => unknown

type MethodMark<Signature extends Method> = <M extends Signature>(
  target: object,
  property: string,
  descriptor: TypedPropertyDescriptor<M>,
) => void

type ClassMark<Name extends string> = <C extends abstract new (...args: never[]) => { [K in Name]: Method }>(
  target: C,
) => void

/**
 * Marks an instance or static method, and defines `<method>Backgrounded` beside it, which takes the same parameters,
 * but stores a job and returns a `JobReceipt` at once. Declare it for the compiler with
 * `declare sendWelcomeBackgrounded: InBackground<User['sendWelcome']>`.
 *
 * @throws InvalidOptionError for a bad option, UnsupportedOptionError for one that a later version will bring
 */
export function Backgrounded(options?: MethodOptions): MethodMark<Method>
/**
 * On a class, marks public instance methods by name: `@Backgrounded('sync', 'rename', { queue: 'slow' })`.
 * For a class that you cannot edit, call it: `Backgrounded('sync')(Vendor)`. An unknown name is refused by the compiler
 * and at start-up.
 */
export function Backgrounded<Name extends string>(...methods: [Name, ...Name[]]): ClassMark<Name>
/** The same, with options for all of these methods. */
export function Backgrounded<Name extends string>(
  ...methodsAndOptions: [...methods: [Name, ...Name[]], options: MethodOptions]
): ClassMark<Name>
export function Backgrounded(...given: readonly unknown[]): (...args: never[]) => void {
  if (typeof given[0] === 'string') return markClass(given)
  const options = (given[0] === undefined ? {} : given[0]) as MethodOptions
  return (target: object, property: string | symbol, descriptor?: PropertyDescriptor) =>
    markMethod(target, property, descriptor, options)
}

/**
 * Marks an instance method without required parameters, and enqueues it automatically after a commit that touched the
 * row. It fires for `save`, `softRemove`, `recover` and `insert`; several events on one row in one transaction make one
 * job.
 *
 * A method may save its own row without starting itself for ever: when a write inside such a job touches a row, a method
 * that already ran for that row in this chain of events is not enqueued a second time. A call of a generated method
 * always enqueues a job, and begins a new chain.
 *
 * @example @AfterCommitBackgrounded({ on: ['insert', 'update'], when: (photo: Photo) => photo.isPublic })
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a decorator does not know its class: `when` may name the type of its entity
export function AfterCommitBackgrounded<T extends object = any>(
  options: AfterCommitOptions<T> = {},
): <M extends () => unknown>(target: T, property: string, descriptor: TypedPropertyDescriptor<M>) => void {
  checkIsObject(options, '@AfterCommitBackgrounded')
  checkFunction(options.when, '@AfterCommitBackgrounded: when')
  const { on, when, ...methodOptions } = options
  const events: readonly RowEvent[] = on === undefined ? ['insert'] : [on].flat()
  if (events.length === 0)
    throw new InvalidDeclarationError('@AfterCommitBackgrounded: on is an empty list: name an event.')
  for (const event of events) {
    if (!['insert', 'update', 'softRemove', 'recover'].includes(event)) {
      throw new InvalidDeclarationError(
        `@AfterCommitBackgrounded has no event ${quoted(event)}: use 'insert', 'update', 'softRemove' or 'recover'.`,
      )
    }
  }
  const implied = events.includes('softRemove') ? { withDeleted: true } : {}
  return (target, property, descriptor) => {
    if (typeof (target as unknown) === 'function') {
      throw new InvalidDeclarationError(
        `${(target as unknown as Class).name}.${property} is static: put @AfterCommitBackgrounded on an instance method, which runs on the row.`,
      )
    }
    markMethod(target, property, descriptor, { ...implied, ...methodOptions }, { on: events, when })
  }
}

/**
 * Gives the entity a stable name in stored jobs, for code that is minified and for two classes with the same name.
 * @example @BackgroundedEntity({ name: 'billing.Account' })
 */
export function BackgroundedEntity(options: { name: string }): (target: Class) => void {
  checkKnown(options, ['name'], '@BackgroundedEntity')
  if (options.name === undefined)
    throw new InvalidOptionError(`@BackgroundedEntity: the name is missing: give one, as { name: 'billing.Account' }.`)
  checkMethodOptions(options, '@BackgroundedEntity')
  return (target) => {
    declare(target).name = options.name
  }
}

function markMethod(
  target: object,
  property: string | symbol | undefined,
  descriptor: PropertyDescriptor | undefined,
  options: MethodOptions,
  afterCommit?: MethodDeclaration['afterCommit'],
): void {
  if (typeof property !== 'string' || typeof descriptor?.value !== 'function') {
    throw new InvalidDeclarationError(
      `@Backgrounded(${property === undefined ? '' : `…) on ${String(property)} (`}) belongs on a method whose name is a plain identifier; to mark a class, give it the names of methods.`,
    )
  }
  const isStatic = typeof target === 'function'
  const owner = (isStatic ? target : target.constructor) as Class
  checkMethodOptions(options, `@Backgrounded on ${owner.name}.${property}`)
  const mark: MethodDeclaration = { property, isStatic, options, afterCommit }
  const declaration = declare(owner)
  ;(isStatic ? declaration.statics : declaration.methods).set(property, mark)
  defineBackgroundedMethod(target, property)
}

function markClass(given: readonly unknown[]): (target: Class) => void {
  const last = given.at(-1)
  const names = (typeof last === 'string' ? given : given.slice(0, -1)) as readonly string[]
  const options = (typeof last === 'string' || last === undefined ? {} : last) as MethodOptions
  checkIsObject(options, '@Backgrounded on a class')
  if (!names.every((name) => typeof name === 'string'))
    throw new InvalidOptionError(
      '@Backgrounded on a class: give the names of methods, and after them at most one object with options.',
    )
  if (options.name !== undefined && names.length > 1) {
    throw new InvalidDeclarationError(
      `@Backgrounded(${names.join(', ')}) gives the same name to several methods: mark them one by one.`,
    )
  }
  return (target) => {
    checkMethodOptions(options, `@Backgrounded on ${target.name}`)
    for (const property of names) {
      declare(target).methods.set(property, { property, isStatic: false, options })
      defineBackgroundedMethod(target.prototype as object, property)
    }
  }
}
