import { types } from 'node:util'
import { capped, errorLine, valueText } from './safe-error'

const SHORT = 200

/** The result of `read`, or `otherwise` when it throws: a getter may, and every look at a revoked proxy does. */
export function attempt<T, Otherwise>(read: () => T, otherwise: Otherwise): T | Otherwise {
  try {
    return read()
  } catch {
    return otherwise
  }
}

/** An error, also one of another realm. Never throws. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || attempt(() => value instanceof Error, false)
}

/** A short text that says what any value is, for messages. Never throws. */
export function textOf(value: unknown): string {
  return capped(isError(value) ? errorLine(value) : valueText(value), SHORT)
}
