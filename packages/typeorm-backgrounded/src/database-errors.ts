/** Sorts the errors of database drivers, whatever wrapped them. */

const CONNECTION_CODES = new Set([
  'STORE_UNAVAILABLE', // a handler's own store, see errors.ts
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'PROTOCOL_CONNECTION_LOST',
  'ER_CON_COUNT_ERROR',
  'ER_SERVER_SHUTDOWN',
  '53300', // too many connections
  '57P01', // admin shutdown
  '57P02', // crash shutdown
  '57P03', // cannot connect now
])
const CONFLICT_CODES = new Set(['40001', '40P01', 'ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT'])
const CONNECTION_MESSAGES =
  /Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Driver not Connected|Connection is not established|closed state/

/** The database cannot be reached just now: worth trying again, whoever asked. */
export function isConnectionError(error: unknown): boolean {
  return causes(error).some(
    ({ code, message }) => CONNECTION_CODES.has(code) || code.startsWith('08') || CONNECTION_MESSAGES.test(message),
  )
}

/** Another transaction stood in the way: deadlock, serialization failure, SQLite's lock. */
export function isConflictError(error: unknown): boolean {
  return causes(error).some(({ code }) => CONFLICT_CODES.has(code)) || isBusyError(error)
}

/** SQLite's one writer is somebody else just now. */
export function isBusyError(error: unknown): boolean {
  return causes(error).some(({ code }) => code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
}

/** The value does not fit the column's type (SQLSTATE class 22). */
export function isDataError(error: unknown): boolean {
  return causes(error).some(({ code }) => /^22[0-9A-Z]{3}$/.test(code))
}

/** The table is not there. */
export function isMissingTableError(error: unknown): boolean {
  return causes(error).some(
    ({ code, message }) => code === '42P01' || code === 'ER_NO_SUCH_TABLE' || message.startsWith('no such table'),
  )
}

function causes(error: unknown): { code: string; message: string }[] {
  const found: { code: string; message: string }[] = []
  for (let depth = 0; error instanceof Error && depth < 5; depth++) {
    const { code, message, driverError } = error as Error & { code?: unknown; driverError?: unknown }
    found.push({ code: typeof code === 'string' ? code : '', message })
    error = driverError && driverError !== error ? driverError : error.cause
  }
  return found
}
