import { safeError, type SafeError } from './safe-error'

const LIMIT = 10_000

/** An error as stores keep it: its name, message, stack and causes, as text that every text column accepts. */
export function errorText(error: unknown): string {
  return storableText(textOf(safeError(error)))
}

/** The text without NUL and lone surrogates, cut to 10,000 characters. */
export function storableText(text: string): string {
  const capped = text.length > LIMIT ? `${text.slice(0, LIMIT - 1)}…` : text
  return capped.replaceAll('\0', '\uFFFD').toWellFormed()
}

function textOf(error: SafeError): string {
  const lines = [titleOf(error), error.frames]
  if (error.cause) lines.push(`Caused by: ${textOf(error.cause)}`)
  return lines.filter(Boolean).join('\n')
}

function titleOf({ name, message }: SafeError): string {
  return [name, message].filter(Boolean).join(': ')
}
