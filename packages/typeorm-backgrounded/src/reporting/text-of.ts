import { types } from 'node:util'
import { capped, errorLine, valueText } from './safe-error'

const SHORT = 200

/** The result of `read`, or `otherwise` when it throws, as a getter may and a revoked proxy always does. */
export function attempt<T, Otherwise>(read: () => T, otherwise: Otherwise): T | Otherwise {
  try {
    return read()
  } catch {
    return otherwise
  }
}

/** Whether it is an error, possibly one of another realm. Never throws. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || attempt(() => value instanceof Error, false)
}

/** A short text that shows any value in a message. Never throws. */
export function textOf(value: unknown): string {
  return capped(isError(value) ? errorLine(value) : valueText(value), SHORT)
}
