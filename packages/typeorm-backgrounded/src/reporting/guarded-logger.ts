import { consoleLogger, type Logger } from '../logger'
import { loggableFields, loggableText, withLoggableErrors } from './log-fields'
import { loggableError } from './loggable-error'

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof LEVELS)[number]
/** Makes of what one call was given what the logger is given. */
type Prepare = (fields: unknown, message: unknown) => unknown[]

const guards = new WeakMap<Logger, Logger>()
/** What is behind a guard. */
const guarding = new WeakMap<Logger, Logger>()
const broken = new WeakSet<Logger>()

/**
 * A logger that neither throws nor rejects, whatever the application's own does, and that is given plain data only:
 * errors as copies of their names, messages, codes and stacks, texts of bearable length on one line, no passwords.
 * A line that matters and that the logger did not take is on the console.
 */
export function guarded(logger: Logger): Logger {
  if (guarding.has(logger)) return logger
  const known = guards.get(logger)
  if (known) return known
  const guard = guardOf(logger, (fields, message) => [loggableFields(fields as object), loggableText(message)])
  guards.set(logger, guard)
  return guard
}

/** For the application's own lines, each with `fields`; only what could do harm is changed in them. */
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

/** Jobs that complete are logged one by one: a line that nobody will see is not prepared. */
function isSilent(logger: Logger, level: Level): boolean {
  if (logger === consoleLogger) return level === 'debug' || level === 'info'
  return (logger as { isLevelEnabled?: (level: string) => boolean }).isLevelEnabled?.(level) === false
}

/** A warning or an error that the logger did not take; of other lines, that there is a first. */
function onConsole(logger: Logger, level: Level, fields: unknown, message: unknown, error: unknown): void {
  if (logger === consoleLogger) return
  try {
    const isFirst = !broken.has(logger)
    broken.add(logger)
    const shown = { ...loggableFields(fields as object), loggerFailed: loggableError(error) }
    if (level === 'warn' || level === 'error') consoleLogger[level](shown, loggableText(message))
    else if (isFirst) consoleLogger.warn(shown, loggableText(message))
  } catch {
    // Nothing is left that could be told.
  }
}

/** Adds `fields` to every line of a logger that may have no `child` of its own. */
function childOf(logger: Logger, fields: object): Logger {
  try {
    const child = logger.child?.(fields)
    if (child && LEVELS.every((level) => typeof child[level] === 'function')) return child
  } catch {
    // One that is made here does it too.
  }
  const line = (level: Level) => (more: unknown, message: string) =>
    logger[level](typeof more === 'object' ? { ...fields, ...more } : (more as object), message)
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

function isThenable(written: unknown): written is PromiseLike<unknown> {
  return typeof (written as PromiseLike<unknown> | undefined)?.then === 'function'
}
