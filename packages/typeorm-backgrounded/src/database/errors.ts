/**
 * Classifies the errors of database drivers, also wrapped ones. Nothing here throws, because a job's method may throw
 * anything.
 */
import { errorMessage } from '../reporting/safe-error'
import { attempt, isError } from '../reporting/text-of'

const CONNECTION_CODES = new Set([
  'STORE_UNAVAILABLE', // a handler's own store, see errors.ts
  'ECONNREFUSED',
  'ECONNABORTED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'PROTOCOL_CONNECTION_LOST',
  'ER_CON_COUNT_ERROR',
  'ER_TOO_MANY_USER_CONNECTIONS',
  'ER_USER_LIMIT_REACHED',
  'ER_HOST_IS_BLOCKED',
  'ER_SERVER_SHUTDOWN',
  '53300', // too many connections
  '57P01', // admin shutdown
  '57P02', // crash shutdown
  '57P03', // cannot connect now
  '57P05', // the session was idle for too long
])
const CONFLICT_CODES = new Set(['40001', '40P01', 'ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT'])
/** The server has lost its primary role, and keeps its connections. */
const READ_ONLY_CODES = new Set([
  '25006', // read-only transaction
  'ER_OPTION_PREVENTS_STATEMENT', // --read-only
  'ER_READ_ONLY_MODE',
  'ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION',
])
/** The server has ended a statement that took too long, or another session has cancelled it. */
const CANCELLED_CODES = new Set([
  '57014', // query canceled
  'ER_QUERY_INTERRUPTED',
  'ER_STATEMENT_TIMEOUT', // MariaDB
  'ER_QUERY_TIMEOUT', // MySQL
])
/** The session has other prepared statements than this process expects. */
const PREPARED_CODES = new Set([
  '26000', // no such prepared statement
  '42P05', // there is one of that name
  '08P01', // PgBouncer's word for either
])
/** Errors that do not go away by waiting. */
const DEFECT_CODES = new Set([
  'MISSING_TABLE', // our own, see errors.ts
  'OUTDATED_TABLE',
  'STORE_REFUSED',
  '3F000', // no such schema
  'ER_NO_SUCH_TABLE',
  'ER_BAD_FIELD_ERROR',
  'ER_KEY_DOES_NOT_EXITS',
  'ER_PARSE_ERROR',
  'ER_SP_DOES_NOT_EXIST',
])
const MISSING_COLUMN_CODES = new Set([
  '42703', // no such column
  '42P10', // no such unique constraint
  '42804', // another type
  '42883', // no such function or operator for these types
  'ER_BAD_FIELD_ERROR',
  'ER_KEY_DOES_NOT_EXITS',
])
const DENIED_CODES = new Set([
  '42501', // insufficient privilege
  '3D000', // no such database
  'ER_BAD_DB_ERROR',
  'ER_ACCESS_DENIED_ERROR',
  'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  'ER_DBACCESS_DENIED_ERROR',
  'ER_TABLEACCESS_DENIED_ERROR',
  'ER_COLUMNACCESS_DENIED_ERROR',
  'ER_SPECIFIC_ACCESS_DENIED_ERROR',
  'ER_MUST_CHANGE_PASSWORD',
])
const CONNECTION_MESSAGES =
  /Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|^timeout expired$|Driver not Connected|Connection is not established|closed state/

/** The database cannot be reached now, so it is worth trying again. */
export function isConnectionError(error: unknown): boolean {
  return causes(error).some(
    ({ code, message, syscall }) =>
      CONNECTION_CODES.has(code) ||
      code.startsWith('08') ||
      CONNECTION_MESSAGES.test(message) ||
      (code === 'ENOENT' && syscall === 'connect'), // a server's socket
  )
}

/** A conflict with another transaction: deadlock, serialization failure, SQLite's lock. */
export function isConflictError(error: unknown): boolean {
  return causes(error).some(({ code }) => CONFLICT_CODES.has(code)) || isBusyError(error)
}

/** Another connection writes to the SQLite database now. */
export function isBusyError(error: unknown): boolean {
  return causes(error).some(({ code }) => code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED'))
}

/** The value does not fit the column's type (SQLSTATE class 22). */
export function isDataError(error: unknown): boolean {
  return causes(error).some(({ code }) => /^22[0-9A-Z]{3}$/.test(code))
}

/** The server answers, but accepts no writes, because another one may be the primary by now. */
export function isReadOnlyError(error: unknown): boolean {
  return causes(error).some(({ code }) => READ_ONLY_CODES.has(code))
}

/** Named statements do not work on this connection, or not any more. */
export function isPreparedStatementError(error: unknown): boolean {
  return causes(error).some(({ code, message }) => PREPARED_CODES.has(code) && /prepared statement/i.test(message))
}

/** A prepared statement returns other columns than before, because its table has changed. */
export function isStalePlanError(error: unknown): boolean {
  return causes(error).some(({ code, message }) => code === '0A000' && message.includes('cached plan'))
}

/** The server has cancelled the statement, and has done nothing of it. */
export function isCancelledError(error: unknown): boolean {
  return causes(error).some(({ code }) => CANCELLED_CODES.has(code))
}

/**
 * The store answers and refuses: a missing table or column, a missing permission, a wrong password, a syntax error.
 * Waiting does not help.
 */
export function isDefectError(error: unknown): boolean {
  return (
    isMissingTableError(error) ||
    isMissingColumnError(error) ||
    isAccessDeniedError(error) ||
    causes(error).some(
      ({ code, message }) =>
        DEFECT_CODES.has(code) ||
        (/^42[0-9A-Z]{3}$/.test(code) && !PREPARED_CODES.has(code)) ||
        /^near ".*": syntax error/.test(message), // SQLite
    )
  )
}

/** A table has another shape than the statement takes it to have. */
export function isMissingColumnError(error: unknown): boolean {
  return causes(error).some(
    ({ code, message }) =>
      MISSING_COLUMN_CODES.has(code) || /^no such column|has no column named|^no such index/.test(message),
  )
}

/** The user may not do this, or does not exist, or has another password; or the database does not exist. */
export function isAccessDeniedError(error: unknown): boolean {
  return causes(error).some(
    ({ code }) => DENIED_CODES.has(code) || /^28[0-9A-Z]{3}$/.test(code) || code.startsWith('SQLITE_READONLY'),
  )
}

/** A statement of this Postgres transaction has failed before, so the server accepts no other one. */
export function isAbortedTransactionError(error: unknown): boolean {
  return causes(error).some(({ code }) => code === '25P02')
}

/**
 * The server has answered that it has refused a statement. After any other error (a lost connection, the driver's own
 * timeout), it is unknown what was executed.
 */
export function isServerAnswer(error: unknown): boolean {
  return causes(error).some(({ code }) => /^[0-9A-Z]{5}$/.test(code)) && !isConnectionError(error)
}

/** The table is not there. */
export function isMissingTableError(error: unknown): boolean {
  return causes(error).some(
    ({ code, message }) => code === '42P01' || code === 'ER_NO_SUCH_TABLE' || message.startsWith('no such table'),
  )
}

interface Cause {
  readonly code: string
  readonly message: string
  readonly syscall: unknown
}

function causes(error: unknown): Cause[] {
  const found: Cause[] = []
  for (let depth = 0; isError(error) && depth < 5; depth++) {
    const here = error as Error & { code?: unknown; driverError?: unknown; syscall?: unknown }
    const code = attempt(() => here.code, undefined)
    const syscall = attempt(() => here.syscall, undefined)
    found.push({ code: typeof code === 'string' ? code : '', message: errorMessage(here), syscall })
    const driverError = attempt(() => here.driverError, undefined)
    error = driverError && driverError !== here ? driverError : attempt(() => here.cause, undefined)
  }
  return found
}
