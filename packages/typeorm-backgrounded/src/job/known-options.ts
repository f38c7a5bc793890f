import { InvalidOptionError } from '../errors'
import { capped, valueText } from '../reporting/safe-error'

/** The names of the options of one type: the compiler notices one that is missing or made up. */
export function namesOf<Options>(names: Readonly<Record<keyof Options, true>>): readonly string[] {
  return Object.keys(names)
}

/**
 * A misspelt option would silently be its default.
 * @throws InvalidOptionError for anything but an object that has none but these names
 */
export function checkKnown(options: unknown, known: readonly string[], subject: string): void {
  checkIsObject(options, subject)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new InvalidOptionError(
    `${subject}: there is no option ${quoted(unknown)}; there are ${known.length > 0 ? known.join(', ') : 'none'}.`,
  )
}

/** @throws InvalidOptionError for anything but an object */
export function checkIsObject(options: unknown, subject: string): asserts options is object {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return
  throw new InvalidOptionError(`${subject}: the options are ${quoted(options)}: give an object, or leave them out.`)
}

/** @throws InvalidOptionError for anything but true and false */
export function checkBoolean(value: unknown, option: string): void {
  if (value === undefined || typeof value === 'boolean') return
  throw new InvalidOptionError(`${option} is ${shown(value)}: give true or false.`)
}

/** @throws InvalidOptionError for anything but a function */
export function checkFunction(value: unknown, option: string): void {
  if (value === undefined || typeof value === 'function') return
  throw new InvalidOptionError(`${option} is ${shown(value)}: give a function.`)
}

/** @throws InvalidOptionError for anything but a whole number of at least 1 */
export function checkCount(value: unknown, option: string): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= 1)) return
  throw new InvalidOptionError(`${option} is ${shown(value)}: give a whole number from 1 on.`)
}

/** An option's value in a message, whatever it is. */
export function shown(value: unknown): string {
  return capped(valueText(value), 200)
}

/** The same with quotes around a text, where it may hold spaces or nothing at all. */
export function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(shown(value)) : shown(value)
}
