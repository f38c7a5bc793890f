/** Whether a session of MariaDB or MySQL takes a backslash literally, although mysql2 escapes with backslashes. */
export const SQL_MODE = 'SELECT @@SESSION.sql_mode AS mode'

export function lacksBackslashEscapes(mode: unknown): boolean {
  return String(mode).includes('NO_BACKSLASH_ESCAPES')
}

/** A text that needs no escapes is left alone; any other one goes as bytes, which mysql2 writes in hexadecimal digits. */
export function withoutEscapes(value: unknown): unknown {
  return typeof value === 'string' && /[^\x20-\x7e]|['"\\]/.test(value) ? Buffer.from(value) : value
}
