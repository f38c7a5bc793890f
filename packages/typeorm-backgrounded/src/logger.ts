/** The part of pino's interface that this library uses. Each method takes the fields first, then the message. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** Returns a logger that adds `fields` to every line. Where it exists, `currentJob().log` is made with it. */
  child?(fields: object): Logger
}

/** The default logger. It prints warnings and errors on the console, and drops all other lines. */
export const consoleLogger: Logger = {
  debug() {},
  info() {},
  warn: (fields, message) => console.warn(`typeorm-backgrounded: ${message}`, fields),
  error: (fields, message) => console.error(`typeorm-backgrounded: ${message}`, fields),
}
