/** Of a MariaDB or MySQL session: where it is set, a backslash in a text is only that, and mysql2 escapes with it all the same. */
export const SQL_MODE = 'SELECT @@SESSION.sql_mode AS mode'

export function lacksBackslashEscapes(mode: unknown): boolean {
  return String(mode).includes('NO_BACKSLASH_ESCAPES')
}

/** A text that needs no escapes is left alone; any other one goes as bytes, which mysql2 writes in hexadecimal digits. */
export function withoutEscapes(value: unknown): unknown {
  return typeof value === 'string' && /[^\x20-\x7e]|['"\\]/.test(value) ? Buffer.from(value) : value
}
