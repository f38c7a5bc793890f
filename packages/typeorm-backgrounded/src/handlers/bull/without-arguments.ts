import { isError } from '../../reporting/text-of'

/**
 * Removes the arguments of the command from an ioredis error, because they may hold a password (AUTH) or a job's arguments.
 * Changes the error itself, so that its stack stays, and so that other code that gets it does not see them either.
 */
export function withoutArguments<T>(error: T, depth = 0): T {
  if (!isError(error) || depth > 5) return error
  const { command, cause, lastNodeError, previousErrors, errors } = error as Error & Attached
  if (command !== undefined) set(error, 'command', nameOf(command))
  for (const text of ['message', 'stack'] as const) {
    const value = error[text]
    // Redis itself shows the arguments of a command that it does not know.
    if (typeof value === 'string' && value.includes(BEGINNING)) set(error, text, value.replace(SHOWN, ''))
  }
  for (const each of [cause, lastNodeError, ...listOf(previousErrors), ...listOf(errors)])
    withoutArguments(each, depth + 1)
  return error
}

interface Attached {
  readonly command?: unknown
  readonly lastNodeError?: unknown
  readonly previousErrors?: unknown
  readonly errors?: unknown
}

const BEGINNING = 'with args beginning with'
const SHOWN = /,? with args beginning with[^\n]*/g

function nameOf(command: unknown): { name: string } | undefined {
  const name = (command as { name?: unknown } | null)?.name
  return typeof name === 'string' ? { name } : undefined
}

function set(error: Error, name: string, value: unknown): void {
  try {
    Object.defineProperty(error, name, { value, configurable: true, writable: true, enumerable: name === 'command' })
  } catch {
    // The error is frozen, as no error of ioredis is.
  }
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}
