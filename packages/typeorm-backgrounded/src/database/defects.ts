import {
  isAccessDeniedError,
  isDefectError,
  isMissingColumnError,
  isMissingTableError,
  isPreparedStatementError,
} from './errors'
import { isBackgroundedError, MissingTableError, OutdatedTableError, StoreRefusedError } from '../errors'
import { errorMessage } from '../reporting/safe-error'

interface Subject {
  /** The tables of the statement, as in "the job tables". */
  readonly tables: string
  /** Advice for when one of them is missing. */
  readonly missing: string
}

const HOW_TO_UPDATE =
  'generate and run a migration (typeorm migration:generate), or print what is missing with typeorm-backgrounded schema --check'

/** Returns the error itself, or an error with advice when waiting would not help, such as a missing table. */
export function withAdvice(error: unknown, { tables, missing }: Subject): unknown {
  if (isBackgroundedError(error)) return error
  const options = { cause: error }
  if (isMissingTableError(error)) return new MissingTableError(missing, options)
  if (isMissingColumnError(error)) {
    return new OutdatedTableError(
      `The ${tables} in the database are not as this version needs them (${errorMessage(error)}): ${HOW_TO_UPDATE}.`,
      options,
    )
  }
  if (isAccessDeniedError(error)) {
    return new StoreRefusedError(
      `The database server does not allow it (${errorMessage(error)}): correct the user, the password and the database of the data ` +
        `source, or grant the user USAGE on the schema, and SELECT, INSERT, UPDATE and DELETE on the ${tables}.`,
      options,
    )
  }
  if (!isDefectError(error) || isPreparedStatementError(error)) return error
  // Without the database's message, which shows a part of a statement with a syntax error, and so perhaps arguments.
  return new StoreRefusedError(
    `The database refuses a statement on the ${tables} (${codeOf(error)}): see that its version is supported ` +
      `(Postgres 13, MariaDB 10.6, MySQL 8), that its name is right, and that the tables are as typeorm-backgrounded schema prints them.`,
    options,
  )
}

function codeOf(error: unknown): string {
  const { code, driverError } = error as { code?: unknown; driverError?: { code?: unknown } }
  return String(code ?? driverError?.code ?? 'without a code')
}
