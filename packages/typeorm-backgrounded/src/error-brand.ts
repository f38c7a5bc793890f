import type { BackgroundedError } from './errors'
import { attempt } from './text-of'

/** Marks every error of this library, whichever copy of it is loaded. */
export const ERROR_BRAND = Symbol.for('typeorm-backgrounded.error')

interface Marked {
  readonly [ERROR_BRAND]?: unknown
  readonly code?: unknown
}

/**
 * Whether this is an error of the library with one of these codes, or with any where none is given. By a mark and not by
 * `instanceof`, so that the errors of a second copy of the library count. Never throws.
 */
export function isBackgroundedError(error: unknown, ...codes: readonly string[]): error is BackgroundedError {
  return attempt(() => {
    const { [ERROR_BRAND]: brand, code } = (error ?? {}) as Marked
    return brand === true && typeof code === 'string' && (codes.length === 0 || codes.includes(code))
  }, false)
}
