import { InvalidOptionError, UnsupportedOptionError } from '../errors'
import type { Handler } from '../handlers/contract/handler'
import { milliseconds, type Duration } from '../job/duration'
import { checkBoolean, checkFunction, checkKnown, namesOf, quoted } from '../job/known-options'
import type { Logger } from '../logger'
import type { MethodTableOptions } from '../metadata/method-table'
import { checkMethodOptions, type MethodOptions } from '../metadata/options'

/** Options of `withBackgrounded`. */
export interface BackgroundedOptions extends MethodTableOptions {
  /** Where jobs are kept. One instance serves one data source. */
  readonly handler: Handler
  /** Options for every method that does not set its own. */
  readonly defaults?: MethodOptions
  /** Bridge to a DI container, for `resolve(token)` in methods. May return a promise. */
  readonly resolve?: (token: unknown) => unknown
  /** This data source's name in stored jobs, where there are several; default `'default'`. */
  readonly source?: string
  /** pino's shape; default: warnings and errors on the console. */
  readonly logger?: Logger
  /** How long completed jobs stay findable, as '1d'; default: they are removed at once. */
  readonly keepCompleted?: Duration
  /**
   * Keep the jobs of a transaction in the table `backgrounded_outbox`, committed or rolled back with it, until the
   * handler has them; default true for a handler outside the database. `false`: a call whose process dies between
   * its commit and the push is lost, and a call while the handler cannot be reached rejects.
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
      `The ${handler.name} handler writes jobs inside the caller's transaction, and needs no outbox: leave it out.`,
    )
  }
  if (source !== undefined && !(typeof source === 'string' && /^[\w.-]{1,100}$/.test(source))) {
    throw new InvalidOptionError(`source is ${quoted(source)}: give 1 to 100 letters, digits, "_", "." or "-".`)
  }
  if (keepCompleted === undefined) return
  milliseconds(keepCompleted, 'keepCompleted')
  if (!handler.capabilities.honours.keepCompleted) {
    throw new UnsupportedOptionError(`The ${handler.name} handler keeps no completed jobs: leave keepCompleted out.`)
  }
}

/** Found at the start rather than at the first line, which may be an error's. */
function checkLogger(logger: Partial<Logger> | null): void {
  const missing = (['debug', 'info', 'warn', 'error'] as const).find((level) => typeof logger?.[level] !== 'function')
  if (missing === undefined) return
  throw new InvalidOptionError(
    `logger has no method ${missing}: give one in pino's shape, with debug, info, warn and error, each taking (fields, message).`,
  )
}

/** Whether committed jobs go through the outbox. */
export function usesOutbox({ handler, outbox }: BackgroundedOptions): boolean {
  const { transactional, inProcess = false } = handler.capabilities
  return outbox ?? (!transactional && !inProcess)
}
