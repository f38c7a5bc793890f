import { attempt } from './reporting/text-of'

/** Set on every error of this library, so that an error of a second copy of it is recognised too. */
const BRAND = Symbol.for('typeorm-backgrounded.error')

/**
 * The base class of every error that this library throws. Each has a class and a stable `code` of its own, and a message
 * that names the fix. `docs/errors.md` lists them, and a test compares the two.
 */
export abstract class BackgroundedError extends Error {
  /** Stable across versions: compare this, never the message. */
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

Object.defineProperty(BackgroundedError.prototype, BRAND, { value: true })

interface Branded {
  readonly [BRAND]?: unknown
  readonly code?: unknown
}

/**
 * Whether this is an error of the library with one of these codes, or with any code if none is given. It looks for a
 * symbol instead of using `instanceof`, so that the errors of a second copy of the library count. Never throws.
 */
export function isBackgroundedError(error: unknown, ...codes: readonly string[]): error is BackgroundedError {
  return attempt(() => {
    const { [BRAND]: brand, code } = (error ?? {}) as Branded
    return brand === true && typeof code === 'string' && (codes.length === 0 || codes.includes(code))
  }, false)
}

/** A call named a method that is not marked with `@Backgrounded`. */
export class NotBackgroundedError extends BackgroundedError {
  readonly code = 'NOT_BACKGROUNDED'
  constructor(entity: string, method: string) {
    super(
      `${entity}.${method} is not marked with @Backgrounded: put @Backgrounded() on the method, or call it directly.`,
    )
  }
}

/** No initialised data source with `withBackgrounded` can take the call. */
export class NotAttachedError extends BackgroundedError {
  readonly code = 'NOT_ATTACHED'

  static forEntity(entity: string): NotAttachedError {
    return new NotAttachedError(
      `No initialised data source has ${entity}: list it in the "entities" of a data source, ` +
        `attach that data source with withBackgrounded(dataSource, { handler }), and call initialize() before the call.`,
    )
  }

  /** @param what was given instead of an entity, as "a plain object" */
  static forNoEntity(what: string): NotAttachedError {
    return new NotAttachedError(
      `The call was made on ${what}, which does not name a row: make an entity of it with repository.create(…), ` +
        `or name the row with reference(EntityClass, key).`,
    )
  }
}

/** Several attached data sources have the class, and the call does not say which one it means. */
export class AmbiguousDataSourceError extends BackgroundedError {
  readonly code = 'AMBIGUOUS_DATA_SOURCE'
  constructor(subject: string, count: number) {
    super(`${count} attached data sources could take ${subject}: choose one with { manager: dataSource.manager }.`)
  }
}

/** An option has a value that it cannot have, or there is no such option. */
export class InvalidOptionError extends BackgroundedError {
  readonly code = 'INVALID_OPTION'
}

/** The handler cannot honour an option, or a later version will bring it. */
export class UnsupportedOptionError extends BackgroundedError {
  readonly code = 'UNSUPPORTED_OPTION'
}

/** A job cannot carry this argument unchanged. */
export class InvalidArgumentError extends BackgroundedError {
  readonly code = 'INVALID_ARGUMENT'
  constructor(
    /** The place of the bad value, as `args[0].filter.name`. */
    readonly path: string,
    problem: string,
  ) {
    super(
      `${path} ${problem}. A job carries JSON values, Date, bigint, Map, Set, Buffer, undefined and entities: ` +
        `pass one of those, or the key of a row that the method can load.`,
    )
  }
}

/** The entity of a call has no primary key yet. */
export class MissingKeyError extends BackgroundedError {
  readonly code = 'MISSING_KEY'
  constructor(entity: string, column: string) {
    super(`This ${entity} has no ${column} yet, and a job finds its row by the primary key: save it first.`)
  }
}

/** A key does not fit the primary columns of its entity. */
export class InvalidKeyError extends BackgroundedError {
  readonly code = 'INVALID_KEY'
}

/** A job is larger than the handler accepts. */
export class PayloadTooLargeError extends BackgroundedError {
  readonly code = 'PAYLOAD_TOO_LARGE'

  /** @param path of the argument that exceeds the limit */
  static at(path: string, limit: number): PayloadTooLargeError {
    return new PayloadTooLargeError(
      `With ${path}, the arguments exceed the limit of ${limit} bytes for a job: store the data in a row, and pass its key.`,
    )
  }

  /** @param limit bytes */
  static of(subject: string, bytes: number, limit: number): PayloadTooLargeError {
    return new PayloadTooLargeError(
      `${subject} makes a job of ${bytes} bytes, and at most ${limit} are allowed: store the data in a row, and pass its key.`,
    )
  }
}

/** The store did not take a job. `cause` is the store's own error. */
export class EnqueueError extends BackgroundedError {
  readonly code = 'ENQUEUE_FAILED'
}

/** The store of the jobs does not answer. `cause` is the client's own error. */
export class StoreUnavailableError extends BackgroundedError {
  readonly code = 'STORE_UNAVAILABLE'
}

/** A decorator cannot work as it is written. */
export class InvalidDeclarationError extends BackgroundedError {
  readonly code = 'INVALID_DECLARATION'
}

/** Two entities of one data source with marked methods have the same name. */
export class DuplicateEntityNameError extends BackgroundedError {
  readonly code = 'DUPLICATE_ENTITY_NAME'
  constructor(name: string) {
    super(
      `Two entities with @Backgrounded methods are both named "${name}", and a job stores that name: ` +
        `give one of them another name with @BackgroundedEntity({ name: '…' }).`,
    )
  }
}

/** A table that the handler or the outbox needs is missing, among the data source's entities or in the database. */
export class MissingTableError extends BackgroundedError {
  readonly code = 'MISSING_TABLE'
}

/** A table that the handler or the outbox needs is in the database, but lacks a column or an index. */
export class OutdatedTableError extends BackgroundedError {
  readonly code = 'OUTDATED_TABLE'
}

/** The store refuses a statement, for example because of a permission, a password or its version. `cause` is its own error. */
export class StoreRefusedError extends BackgroundedError {
  readonly code = 'STORE_REFUSED'
}

/** The handler does not work with this database. */
export class UnsupportedDatabaseError extends BackgroundedError {
  readonly code = 'UNSUPPORTED_DATABASE'

  static inMemory(): UnsupportedDatabaseError {
    return new UnsupportedDatabaseError(
      'A worker cannot share an in-memory database with the process that enqueues jobs: use a file, or run the jobs in that process with drain(dataSource).',
    )
  }
}

/** An installed version of a dependency lacks something that this library cannot work without. */
export class UnsupportedVersionError extends BackgroundedError {
  readonly code = 'UNSUPPORTED_VERSION'
}

/** One handler instance was given to two data sources. */
export class HandlerInUseError extends BackgroundedError {
  readonly code = 'HANDLER_IN_USE'
  constructor(handler: string) {
    super(`This ${handler} handler already serves another data source: create one handler for each.`)
  }
}

/** The handler keeps no jobs that a worker could run. */
export class NotConsumableError extends BackgroundedError {
  readonly code = 'NOT_CONSUMABLE'
  constructor(handler: string) {
    super(`The ${handler} handler keeps no jobs for a worker: use DatabaseHandler, or another handler that does.`)
  }
}

/** `currentJob()` was called outside a job. */
export class NoCurrentJobError extends BackgroundedError {
  readonly code = 'NO_CURRENT_JOB'
  constructor() {
    super('No job is running here: use currentJobOrUndefined() in a method that is also called in the foreground.')
  }
}

/** `resolve()` was called, but there is no `resolve` option that it could use. */
export class NoResolverError extends BackgroundedError {
  readonly code = 'NO_RESOLVER'
  constructor() {
    super('resolve() has no container to ask: pass { resolve: (token) => container.get(token) } to withBackgrounded.')
  }
}

/** A stored job cannot be read. */
export class MalformedJobError extends BackgroundedError {
  readonly code = 'MALFORMED_JOB'
}

/** A stored job names an entity or a method that this worker does not have. */
export class UnknownMethodError extends BackgroundedError {
  readonly code = 'UNKNOWN_METHOD'
}

/** The row of a job, or of one of its arguments, is gone. */
export class RowMissingError extends BackgroundedError {
  readonly code = 'ROW_MISSING'
}

/** The row of a job now belongs to another class, which does not have the method. */
export class RowChangedClassError extends BackgroundedError {
  readonly code = 'ROW_CHANGED_CLASS'
}

/** The worker that ran this job died before the job ended. */
export class WorkerDiedError extends BackgroundedError {
  readonly code = 'WORKER_DIED'
  constructor(attempt: number) {
    super(
      `The worker died while it ran this job (attempt ${attempt}): look for a crash or a kill of its process at that time.`,
    )
  }
}

/** The reason of `signal` in a job whose lease another worker may have taken. */
export class LeaseLostError extends BackgroundedError {
  readonly code = 'LEASE_LOST'
  constructor() {
    super('This worker lost its lease on the job: stop the work, because its result will not be stored.')
  }
}

/** The reason of `signal` in a job whose worker is stopping. */
export class WorkerStoppingError extends BackgroundedError {
  readonly code = 'WORKER_STOPPING'
  constructor() {
    super('The worker is stopping: end the work now by throwing this error, and the job goes back to its queue.')
  }
}

/** An assertion of `typeorm-backgrounded/testing` did not hold. */
export class AssertionFailedError extends BackgroundedError {
  readonly code = 'ASSERTION_FAILED'
}
