import { isConnectionError } from '../database-errors'

/**
 * The server has refused a statement, and said so. Of all else (a lost connection, pg's own timeout, a type parser that
 * throws) nobody knows what was executed.
 */
export function isAnswer(error: unknown): boolean {
  return codeOf(error) !== undefined && !isConnectionError(error)
}

/** The SQLSTATE of what the server said. */
export function codeOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  return typeof severity === 'string' && typeof code === 'string' ? code : undefined
}
