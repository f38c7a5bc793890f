import { consoleLogger, type Logger } from '../logger'
import { loggableFields, loggableText, withLoggableErrors } from './log-fields'
import { loggableError } from './loggable-error'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof LEVELS)[number]
/** Turns the arguments of a call into those for the application's logger. */
type Prepare = (fields: unknown, message: unknown) => unknown[]

const guards = new WeakMap<Logger, Logger>()
/** The application's logger behind a guard. */
const guarding = new WeakMap<Logger, Logger>()
const broken = new WeakSet<Logger>()

/**
 * Wraps the application's logger in one that neither throws nor rejects, and that passes on plain data only: errors as
 * copies with their names, messages, codes and stacks; texts cut and put on one line; no passwords. Warnings and errors
 * that the logger fails on go to the console.
 */
export function guarded(logger: Logger): Logger {
  if (guarding.has(logger)) return logger
  const known = guards.get(logger)
  if (known) return known
  const guard = guardOf(logger, (fields, message) => [loggableFields(fields as object), loggableText(message)])
  guards.set(logger, guard)
  return guard
}

/** A logger that adds `fields` to the application's own lines, in which it changes only errors. */
export function childLogger(logger: Logger, fields: object): Logger {
  const target = guarding.get(logger) ?? logger
  return guardOf(childOf(target, loggableFields(fields)), (more, message) => [withLoggableErrors(more), message])
}

function guardOf(logger: Logger, prepare: Prepare): Logger {
  const line = (level: Level) => (fields: unknown, message: unknown) => write(logger, level, prepare, fields, message)
  const guard: Logger = {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    child: (fields) => childLogger(guard, fields),
  }
  guarding.set(guard, logger)
  return guard
}

function write(logger: Logger, level: Level, prepare: Prepare, fields: unknown, message: unknown): void {
  try {
    if (isSilent(logger, level)) return
    const [shown, text] = prepare(fields, message)
    const written: unknown = logger[level](shown as object, text as string)
    if (isThenable(written))
      Promise.resolve(written).catch((error: unknown) => onConsole(logger, level, fields, message, error))
  } catch (error) {
    onConsole(logger, level, fields, message, error)
  }
}

/** Whether the line would not be shown. Such lines are not prepared, because each completed job logs one. */
function isSilent(logger: Logger, level: Level): boolean {
  if (logger === consoleLogger) return level === 'debug' || level === 'info'
  return (logger as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled?.(level) === false
}

/** Prints a warning or an error that the logger failed on; of other lines only the first, to say that it fails. */
function onConsole(logger: Logger, level: Level, fields: unknown, message: unknown, error: unknown): void {
  if (logger === consoleLogger) return
  try {
    const isFirst = !broken.has(logger)
    broken.add(logger)
    const shown = { ...loggableFields(fields as object), loggerFailed: loggableError(error) }
    if (level === 'warn' || level === 'error') consoleLogger[level](shown, loggableText(message))
    else if (isFirst) consoleLogger.warn(shown, loggableText(message))
  } catch {
    // There is nowhere left to report this.
  }
}

/** A logger that adds `fields` to every line, also where the application's logger has no working `child`. */
function childOf(logger: Logger, fields: object): Logger {
  try {
    const child = logger.child?.(fields)
    if (child && LEVELS.every((level) => typeof child[level] === 'function')) return child
  } catch {
    // The logger below does the same.
  }
  const line = (level: Level) => (more: unknown, message: string) =>
    logger[level](typeof more === 'object' ? { ...fields, ...more } : (more as object), message)
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

function isThenable(written: unknown): written is PromiseLike<unknown> {
  return typeof (written as PromiseLike<unknown> | undefined)?.then === 'function'
}
