const LIMIT = 10_000

/** An error as stores keep it: name, message, stack and causes, clean of what text columns refuse, capped. */
export function errorText(error: unknown): string {
  try {
    return storableText(describe(error, 0))
  } catch {
    return 'an error that cannot be shown' // a getter of it throws
  }
}

/** Text without NUL and lone surrogates, at most 10,000 characters. */
export function storableText(text: string): string {
  const capped = text.length > LIMIT ? `${text.slice(0, LIMIT - 1)}…` : text
  return capped.replaceAll('\0', '\uFFFD').toWellFormed()
}

function describe(error: unknown, depth: number): string {
  if (!(error instanceof Error))
    return typeof error === 'object' ? (JSON.stringify(error) ?? String(error)) : String(error)
  const message = String(error.message)
  const stack = typeof error.stack === 'string' ? error.stack : ''
  const text = stack.includes(message) ? stack || String(error.name) : `${error.name}: ${message}\n${stack}`
  if (error.cause === undefined || depth >= 3) return text
  return `${text}\nCaused by: ${describe(error.cause, depth + 1)}`
}
