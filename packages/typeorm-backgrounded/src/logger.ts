/** The part of pino's shape that this library uses: fields first, then the message. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A logger that adds `fields` to every line; used for `currentJob().log` where it exists. */
  child?(fields: object): Logger
}

/** The default: warnings and errors on the console, the rest nowhere. */
export const consoleLogger: Logger = {
  debug() {},
  info() {},
  warn: (fields, message) => console.warn(`typeorm-backgrounded: ${message}`, fields),
  error: (fields, message) => console.error(`typeorm-backgrounded: ${message}`, fields),
}
