import { types } from 'node:util'
import { loggableError } from './loggable-error'
import { oneLine } from './one-line'
import { capped, valueText } from './safe-error'
import { withoutSecrets } from './without-secrets'

const LONGEST_TEXT = 1_000
const DEEPEST = 5
/** In characters, for all fields of one line except its error. */
const LARGEST_LINE = 50_000
const TRUNCATED = '…'
/** Matches most texts: they hold no secret, no line break and no odd character. */
const HARMLESS = /^(?!.*(?:AUTH|bearer) )[\w .,#/-]*$/i

/**
 * The fields of a line that this library logs, as plain data that any logger can print, because anybody may have written
 * a stored job, and any value may be thrown. Never throws.
 */
export function loggableFields(fields: object): object {
  const room = { left: LARGEST_LINE }
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      name === 'err' ? loggableError(value) : plain(value, room, 0),
    ]),
  )
}

/** The text of a line, made safe because the names of queues and methods in it come from stored jobs. */
export function loggableText(text: unknown): string {
  if (typeof text === 'string' && text.length < LONGEST_TEXT && HARMLESS.test(text)) return text
  return oneLine(withoutSecrets(capped(String(text), 10_000)))
}

/**
 * The fields of a line that the application logs. They are left as they are, except for errors, because those of a driver
 * hold passwords and arguments.
 */
export function withLoggableErrors(fields: unknown): unknown {
  if (isError(fields)) return loggableError(fields)
  if (typeof fields !== 'object' || fields === null || !Object.values(fields).some(isError)) return fields
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, isError(value) ? loggableError(value) : (value as unknown)]),
  )
}

function plain(value: unknown, room: { left: number }, depth: number): unknown {
  room.left -= 8
  if (room.left <= 0) return TRUNCATED
  if (typeof value === 'number' || typeof value === 'boolean' || value === undefined || value === null) return value
  if (isError(value)) return loggableError(value)
  if (typeof value === 'object' && isPlain(value)) return depth >= DEEPEST ? TRUNCATED : plainObject(value, room, depth)
  const text = capped(valueText(value), Math.min(LONGEST_TEXT, room.left))
  room.left -= text.length
  return HARMLESS.test(text) ? text : oneLine(withoutSecrets(text))
}

function plainObject(value: object, room: { left: number }, depth: number): unknown {
  if (Array.isArray(value)) {
    const list: unknown[] = []
    for (const each of value) {
      list.push(plain(each, room, depth + 1))
      if (room.left <= 0) break
    }
    return list
  }
  const object: Record<string, unknown> = {}
  for (const name of Object.keys(value)) {
    const shown = name.length <= 100 && HARMLESS.test(name) ? name : oneLine(capped(name, 100))
    room.left -= shown.length
    if (shown !== '__proto__') object[shown] = plain((value as Record<string, unknown>)[name], room, depth + 1)
    if (room.left <= 0) break
  }
  return object
}

function isError(value: unknown): boolean {
  try {
    return types.isNativeError(value) || value instanceof Error
  } catch {
    return true // a revoked proxy, of which `loggableError` makes a copy that can be printed
  }
}

function isPlain(value: object): boolean {
  if (types.isProxy(value)) return false
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
