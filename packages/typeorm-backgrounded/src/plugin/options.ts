import { InvalidOptionError, UnsupportedOptionError } from '../errors'
import type { Handler } from '../handlers/contract/handler'
import { milliseconds, type Duration } from '../job/duration'
import { checkBoolean, checkFunction, checkKnown, namesOf, quoted } from '../job/known-options'
import type { Logger } from '../logger'
import type { MethodTableOptions } from '../metadata/method-table'
import { checkMethodOptions, type MethodOptions } from '../metadata/options'

/** Options of `withBackgrounded`. */
export interface BackgroundedOptions extends MethodTableOptions {
  /** Decides where jobs are kept. One instance serves one data source. */
  readonly handler: Handler
  /** Options for every method that does not set its own. */
  readonly defaults?: MethodOptions
  /** Connects `resolve(token)` in methods to a dependency injection container. It may return a promise. */
  readonly resolve?: (token: unknown) => unknown
  /** This data source's name in stored jobs, for programs with several data sources; default `'default'`. */
  readonly source?: string
  /** A logger with pino's interface; by default, warnings and errors go to the console. */
  readonly logger?: Logger
  /** How long completed jobs are kept, as '1d'; by default they are removed at once. */
  readonly keepCompleted?: Duration
  /**
   * Whether the jobs of a transaction are written to the table `backgrounded_outbox`, where they commit or roll back with
   * it and stay until the handler has them; default true for a handler outside the database. With `false`, a call is lost
   * if its process dies between the commit and the push to the handler, and a call rejects while the handler cannot be
   * reached.
   */
  readonly outbox?: boolean
}

const OPTIONS = namesOf<BackgroundedOptions>({
  handler: true,
  defaults: true,
  configure: true,
  resolve: true,
  source: true,
  logger: true,
  keepCompleted: true,
  outbox: true,
})

/** @throws InvalidOptionError, UnsupportedOptionError */
export function checkPluginOptions(options: BackgroundedOptions): void {
  const { handler, source, keepCompleted, outbox, defaults, configure, resolve, logger } = options ?? {}
  if (typeof handler?.enqueue !== 'function' || typeof handler.capabilities !== 'object') {
    throw new InvalidOptionError(
      'withBackgrounded needs a handler: pass { handler: new DatabaseHandler() }, for example.',
    )
  }
  checkKnown(options, OPTIONS, 'withBackgrounded')
  checkBoolean(outbox, 'outbox')
  checkFunction(configure, 'configure')
  checkFunction(resolve, 'resolve')
  if (defaults !== undefined) checkMethodOptions(defaults, 'defaults')
  if (logger !== undefined) checkLogger(logger)
  if (outbox && handler.capabilities.transactional) {
    throw new UnsupportedOptionError(
      `The ${handler.name} handler writes jobs inside the caller's transaction, so it needs no outbox: leave the option out.`,
    )
  }
  if (source !== undefined && !(typeof source === 'string' && /^[\w.-]{1,100}$/.test(source))) {
    throw new InvalidOptionError(`source is ${quoted(source)}: give 1 to 100 letters, digits, "_", "." or "-".`)
  }
  if (keepCompleted === undefined) return
  milliseconds(keepCompleted, 'keepCompleted')
  if (!handler.capabilities.honours.keepCompleted) {
    throw new UnsupportedOptionError(`The ${handler.name} handler cannot keep completed jobs: leave keepCompleted out.`)
  }
}

/** Checks the logger at the start, because the first line that it would fail on may be an error's. */
function checkLogger(logger: Partial<Logger> | null): void {
  const missing = (['debug', 'info', 'warn', 'error'] as const).find((level) => typeof logger?.[level] !== 'function')
  if (missing === undefined) return
  throw new InvalidOptionError(
    `logger has no method ${missing}: give a logger like pino's, with debug, info, warn and error, each taking (fields, message).`,
  )
}

/** Whether committed jobs go through the outbox. */
export function usesOutbox({ handler, outbox }: BackgroundedOptions): boolean {
  const { transactional, inProcess = false } = handler.capabilities
  return outbox ?? (!transactional && !inProcess)
}
