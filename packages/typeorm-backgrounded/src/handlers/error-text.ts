const LIMIT = 10_000

/** An error as stores keep it: name, message, stack and causes, clean of what text columns refuse, capped. */
export function errorText(error: unknown): string {
  return storableText(describe(error, 0))
}

/** Text without NUL and lone surrogates, at most 10,000 characters. */
export function storableText(text: string): string {
  const capped = text.length > LIMIT ? `${text.slice(0, LIMIT - 1)}…` : text
  return capped.replaceAll('\0', '\uFFFD').toWellFormed()
}

function describe(error: unknown, depth: number): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : safeString(error)
  const text = error.stack?.includes(error.message)
    ? error.stack
    : `${error.name}: ${error.message}\n${error.stack ?? ''}`
  if (error.cause === undefined || depth >= 3) return text
  return `${text}\nCaused by: ${describe(error.cause, depth + 1)}`
}

function safeString(value: unknown): string {
  try {
    return typeof value === 'object' ? JSON.stringify(value) : String(value)
  } catch {
    return 'an error that cannot be shown'
  }
}
