import { attempt } from './reporting/text-of'

/** Marks every error of this library, whichever copy of it is loaded. */
const BRAND = Symbol.for('typeorm-backgrounded.error')

/**
 * Every error this library throws: one class, one stable `code`, and a message that names the fix.
 * `docs/errors.md` lists them; a test holds the two together.
 */
export abstract class BackgroundedError extends Error {
  /** Stable across versions; compare this, never the message. */
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
 * Whether this is an error of the library with one of these codes, or with any where none is given. By a mark and not by
 * `instanceof`, so that the errors of a second copy of the library count. Never throws.
 */
export function isBackgroundedError(error: unknown, ...codes: readonly string[]): error is BackgroundedError {
  return attempt(() => {
    const { [BRAND]: brand, code } = (error ?? {}) as Branded
    return brand === true && typeof code === 'string' && (codes.length === 0 || codes.includes(code))
  }, false)
}

/** A call named a method that carries no `@Backgrounded` mark. */
export class NotBackgroundedError extends BackgroundedError {
  readonly code = 'NOT_BACKGROUNDED'
  constructor(entity: string, method: string) {
    super(`${entity}.${method} is not marked: put @Backgrounded() on the method, or call it directly.`)
  }
}

/** No initialised data source with `withBackgrounded` can take the call. */
export class NotAttachedError extends BackgroundedError {
  readonly code = 'NOT_ATTACHED'

  static forEntity(entity: string): NotAttachedError {
    return new NotAttachedError(
      `No initialised data source has ${entity}: list it in the "entities" of a data source, ` +
        `attach that one with withBackgrounded(dataSource, { handler }), and call initialize() first.`,
    )
  }

  /** @param what was given in place of an entity, as "a plain object" */
  static forNoEntity(what: string): NotAttachedError {
    return new NotAttachedError(
      `The call was made on ${what}, which does not say whose row it is: make an entity of it with repository.create(…), ` +
        `or name the row with reference(EntityClass, key).`,
    )
  }
}

/** Several attached data sources have the class, and nothing says which one is meant. */
export class AmbiguousDataSourceError extends BackgroundedError {
  readonly code = 'AMBIGUOUS_DATA_SOURCE'
  constructor(subject: string, count: number) {
    super(`${count} attached data sources could take ${subject}: say which one with { manager: dataSource.manager }.`)
  }
}

/** An option has a value it cannot have. */
export class InvalidOptionError extends BackgroundedError {
  readonly code = 'INVALID_OPTION'
}

/** An option that this handler cannot honour, or that a later version brings. */
export class UnsupportedOptionError extends BackgroundedError {
  readonly code = 'UNSUPPORTED_OPTION'
}

/** An argument that a job cannot carry unchanged. */
export class InvalidArgumentError extends BackgroundedError {
  readonly code = 'INVALID_ARGUMENT'
  constructor(
    /** Where the bad value stands, as `args[0].filter.name`. */
    readonly path: string,
    problem: string,
  ) {
    super(
      `${path} ${problem}. A job carries JSON values, Date, bigint, Map, Set, Buffer, undefined and entities: ` +
        `pass one of those, or the key of what the method should look up.`,
    )
  }
}

/** The entity of a call has no primary key yet. */
export class MissingKeyError extends BackgroundedError {
  readonly code = 'MISSING_KEY'
  constructor(entity: string, column: string) {
    super(`This ${entity} has no ${column} yet, and a job finds its row by the key: save it first.`)
  }
}

/** A key that does not fit the primary columns of its entity. */
export class InvalidKeyError extends BackgroundedError {
  readonly code = 'INVALID_KEY'
}

/** A job larger than what the handler accepts. */
export class PayloadTooLargeError extends BackgroundedError {
  readonly code = 'PAYLOAD_TOO_LARGE'

  /** @param path of the argument that was one too many */
  static at(path: string, limit: number): PayloadTooLargeError {
    return new PayloadTooLargeError(
      `With ${path}, the arguments have more than ${limit} bytes, which is what a job may have: store the data in a row, and pass its key.`,
    )
  }

  /** @param limit bytes */
  static of(subject: string, bytes: number, limit: number): PayloadTooLargeError {
    return new PayloadTooLargeError(
      `${subject} makes a job of ${bytes} bytes, and a job may have ${limit}: store the data in a row, and pass its key.`,
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

/** A mark that cannot work, found at start-up. */
export class InvalidDeclarationError extends BackgroundedError {
  readonly code = 'INVALID_DECLARATION'
}

/** Two marked classes of one data source answer to one name. */
export class DuplicateEntityNameError extends BackgroundedError {
  readonly code = 'DUPLICATE_ENTITY_NAME'
  constructor(name: string) {
    super(
      `Two entities with @Backgrounded methods are both named "${name}", and a job stores that name: ` +
        `give one of them a name of its own with @BackgroundedEntity({ name: '…' }).`,
    )
  }
}

/** A table that the handler needs is missing, in the data source's entities or in the database. */
export class MissingTableError extends BackgroundedError {
  readonly code = 'MISSING_TABLE'
}

/** A table that the handler needs is in the database, and lacks a column or an index. */
export class OutdatedTableError extends BackgroundedError {
  readonly code = 'OUTDATED_TABLE'
}

/** The store understands a statement, and refuses it: a permission, a password, a version. `cause` is its own error. */
export class StoreRefusedError extends BackgroundedError {
  readonly code = 'STORE_REFUSED'
}

/** The handler does not work with this database. */
export class UnsupportedDatabaseError extends BackgroundedError {
  readonly code = 'UNSUPPORTED_DATABASE'

  static inMemory(): UnsupportedDatabaseError {
    return new UnsupportedDatabaseError(
      'A worker cannot share an in-memory database with the process that fills it: use a file, or run the jobs there with drain(dataSource).',
    )
  }
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

/** `resolve()` was called, and no data source has a `resolve` option. */
export class NoResolverError extends BackgroundedError {
  readonly code = 'NO_RESOLVER'
  constructor() {
    super('Nothing to resolve with: pass { resolve: (token) => container.get(token) } to withBackgrounded.')
  }
}

/** A stored job that cannot be read. */
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

/** The row of a job has become one of another class, which does not have the method. */
export class RowChangedClassError extends BackgroundedError {
  readonly code = 'ROW_CHANGED_CLASS'
}

/** The worker that ran this job died in the middle of it. */
export class WorkerDiedError extends BackgroundedError {
  readonly code = 'WORKER_DIED'
  constructor(attempt: number) {
    super(`The worker died while it ran this job (attempt ${attempt}): look for a crash or a kill at that time.`)
  }
}

/** The reason of `signal` in a job whose lease another worker may have taken. */
export class LeaseLostError extends BackgroundedError {
  readonly code = 'LEASE_LOST'
  constructor() {
    super('This worker lost its lease on the job: stop the work, its result will not be stored.')
  }
}

/** The reason of `signal` in a job whose worker is stopping. */
export class WorkerStoppingError extends BackgroundedError {
  readonly code = 'WORKER_STOPPING'
  constructor() {
    super('The worker is stopping: end the work now, and the job goes back to the queue.')
  }
}

/** An assertion of `typeorm-backgrounded/testing` did not hold. */
export class AssertionFailedError extends BackgroundedError {
  readonly code = 'ASSERTION_FAILED'
}
