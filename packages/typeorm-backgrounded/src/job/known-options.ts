import { types } from 'node:util'
import { InvalidOptionError } from '../errors'
import { capped, valueText } from '../reporting/safe-error'
import { attempt } from '../reporting/text-of'

/** The names of the options of one type. The compiler reports a name that is missing or that the type lacks. */
export function namesOf<Options>(names: Readonly<Record<keyof Options, true>>): readonly string[] {
  return Object.keys(names)
}

/**
 * Refuses an unknown option, because a misspelt one would silently have its default.
 * @throws InvalidOptionError unless it is an object with no other names than these
 */
export function checkKnown(options: unknown, known: readonly string[], subject: string): void {
  checkIsObject(options, subject)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new InvalidOptionError(
    `${subject}: there is no option ${quoted(unknown)}; ${known.length > 0 ? `the options are ${known.join(', ')}` : 'it takes no options'}.`,
  )
}

/** @throws InvalidOptionError unless it is a plain object */
export function checkIsObject(options: unknown, subject: string): asserts options is object {
  if (isPlainObject(options)) return
  throw new InvalidOptionError(
    `${subject}: the options are ${described(options)}: give a plain object, or leave them out.`,
  )
}

/**
 * Whether all that it holds are properties of its own, because options are read and copied as such: those of a Map, a
 * promise, or getters of a class would pass unseen. An object literal of another realm is plain too. Never throws.
 */
export function isPlainObject(value: unknown): value is object {
  return attempt(() => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const prototype: unknown = Object.getPrototypeOf(value)
    return prototype === null || isObjectPrototype(prototype as object)
  }, false)
}

function isObjectPrototype(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf')
}

/** What was given in place of options, without showing what an object holds. */
export function described(value: unknown): string {
  if (typeof value !== 'object' || value === null || attempt(() => Array.isArray(value), false)) return quoted(value)
  if (types.isPromise(value)) return 'a promise'
  const name = attempt((): unknown => value.constructor.name, undefined)
  return typeof name === 'string' && name !== ''
    ? `an object of the class ${shown(name)}`
    : 'an object that is not plain'
}

/** @throws InvalidOptionError unless it is true, false or left out */
export function checkBoolean(value: unknown, option: string): void {
  if (value === undefined || typeof value === 'boolean') return
  throw new InvalidOptionError(`${option} is ${shown(value)}: give true or false.`)
}

/** @throws InvalidOptionError unless it is a function or left out */
export function checkFunction(value: unknown, option: string): void {
  if (value === undefined || typeof value === 'function') return
  throw new InvalidOptionError(`${option} is ${shown(value)}: give a function.`)
}

/** What a column of whole numbers holds. */
const LARGEST_COUNT = 2 ** 31 - 1

/** @throws InvalidOptionError unless it is a whole number of 1 or more, or left out */
export function checkCount(value: unknown, option: string): void {
  if (value === undefined || isCount(value)) return
  const upTo = typeof value === 'number' && value > LARGEST_COUNT ? `, up to ${LARGEST_COUNT}` : ''
  throw new InvalidOptionError(`${option} is ${shown(value)}: give a whole number of 1 or more${upTo}.`)
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= LARGEST_COUNT
}

/** Any value of an option as messages show it. */
export function shown(value: unknown): string {
  return capped(valueText(value), 200)
}

/** The same with quotes around a text, for one that may be empty or hold spaces. */
export function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(shown(value)) : shown(value)
}
