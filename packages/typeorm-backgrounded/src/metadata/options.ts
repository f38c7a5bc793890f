import { types } from 'node:util'
import type { EntityManager } from 'typeorm'
import { InvalidOptionError, UnsupportedOptionError } from '../errors'
import { checkBackoff, type Backoff } from '../job/backoff'
import { milliseconds, type Duration } from '../job/duration'
import { checkBoolean, checkCount, checkIsObject, checkKnown, namesOf, quoted, shown } from '../job/known-options'

/** What to do with a job whose row is gone. */
export type OnMissing = 'discard' | 'fail' | 'retry'

/** Options of a marked method, given to the decorators. */
export interface MethodOptions {
  /** Default `'default'`. */
  readonly queue?: string
  /** −10 … 10, lower first, default 0. */
  readonly priority?: number
  /** How many times the method may run before the job fails for good, default 10. */
  readonly attempts?: number
  /** How long a failed job waits before its next attempt; default attempt⁴ + 2 s, with jitter. */
  readonly backoff?: Backoff
  /** What to do when the row is gone: discard the job with a reason (`'discard'`, default), fail it, or retry it. */
  readonly onMissing?: OnMissing
  /** Whether soft-deleted rows are found too, default false. */
  readonly withDeleted?: boolean
  /** Relations to load with the row, as `find` takes them. */
  readonly relations?: readonly string[] | Readonly<Record<string, unknown>>
  /** A stable name for the method in stored jobs; default the method's own name. */
  readonly name?: string
}

/** Options of one call. */
export interface CallOptions {
  /** How long the job waits at least before it runs, in ms or as '5m'. */
  readonly delay?: Duration
  /** The time before which the job does not run. */
  readonly runAt?: Date
  readonly queue?: string
  readonly priority?: number
  readonly attempts?: number
  /** The manager of the transaction to follow; with `null` the call follows none, and the job goes out at once. */
  readonly manager?: EntityManager | null
}

/** Method options with every default filled in. */
export type ResolvedMethodOptions = Required<
  Pick<MethodOptions, 'queue' | 'priority' | 'attempts' | 'onMissing' | 'withDeleted'>
> &
  Pick<MethodOptions, 'backoff' | 'relations' | 'name'>

const METHOD_OPTIONS = namesOf<MethodOptions>({
  queue: true,
  priority: true,
  attempts: true,
  backoff: true,
  onMissing: true,
  withDeleted: true,
  relations: true,
  name: true,
})
const CALL_OPTIONS = namesOf<CallOptions>({
  delay: true,
  runAt: true,
  queue: true,
  priority: true,
  attempts: true,
  manager: true,
})
const LATER_OPTIONS = ['unique', 'exclusive', 'transactional', 'timeout']

/** @throws InvalidOptionError, UnsupportedOptionError */
export function checkMethodOptions(options: MethodOptions, subject: string): void {
  checkNames(options, METHOD_OPTIONS, subject)
  checkShared(options, subject)
  if (options.backoff !== undefined) checkBackoff(options.backoff, subject)
  if (options.onMissing !== undefined && !['discard', 'fail', 'retry'].includes(options.onMissing)) {
    throw new InvalidOptionError(
      `${subject}: onMissing is ${shown(options.onMissing)}: give 'discard', 'fail' or 'retry'.`,
    )
  }
  checkBoolean(options.withDeleted, `${subject}: withDeleted`)
  if (options.relations !== undefined && !areRelations(options.relations)) {
    throw new InvalidOptionError(
      `${subject}: relations is ${shown(options.relations)}: give what find() takes, as ['tags'].`,
    )
  }
  if (options.name !== undefined) checkName(options.name, 'name', subject)
}

/** @throws InvalidOptionError, UnsupportedOptionError */
export function checkCallOptions(options: CallOptions, subject: string): void {
  checkNames(options, CALL_OPTIONS, subject)
  checkShared(options, subject)
  checkManager(options.manager, subject)
  if (options.delay !== undefined) milliseconds(options.delay, `${subject}: delay`)
  if (options.runAt !== undefined) {
    if (!types.isDate(options.runAt) || Number.isNaN(options.runAt.getTime())) {
      throw new InvalidOptionError(`${subject}: runAt is ${shown(options.runAt)}: give a valid Date.`)
    }
    if (options.delay !== undefined) throw new InvalidOptionError(`${subject}: give delay or runAt, not both.`)
  }
}

/** @throws InvalidOptionError unless it is an EntityManager, null or left out; a QueryRunner or a DataSource is refused */
export function checkManager(manager: unknown, subject: string): void {
  if (manager === undefined || manager === null) return
  const { save, transaction } = manager as Partial<EntityManager>
  if (typeof save === 'function' && typeof transaction === 'function') return
  throw new InvalidOptionError(
    `${subject}: manager is not an EntityManager: give the transaction's, as queryRunner.manager, or null to follow none.`,
  )
}

function checkNames(options: object, known: readonly string[], subject: string): void {
  checkIsObject(options, subject)
  const later = LATER_OPTIONS.find((name) => Object.hasOwn(options, name))
  if (later !== undefined) {
    throw new UnsupportedOptionError(
      `${subject}: the option "${later}" will come with a later version: leave it out for now.`,
    )
  }
  checkKnown(options, known, subject)
}

function areRelations(relations: unknown): boolean {
  if (Array.isArray(relations)) return relations.every((each) => typeof each === 'string')
  return typeof relations === 'object' && relations !== null
}

function checkShared({ queue, priority, attempts }: MethodOptions | CallOptions, subject: string): void {
  if (queue !== undefined) checkName(queue, 'queue', subject)
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= 10)) {
    throw new InvalidOptionError(
      `${subject}: priority is ${shown(priority)}: give a whole number from -10 (first) to 10 (last).`,
    )
  }
  checkCount(attempts, `${subject}: attempts`)
}

function checkName(name: unknown, option: string, subject: string): void {
  if (
    typeof name === 'string' &&
    /^[^\s,*\p{Cc}]{1,100}$/u.test(name) &&
    name.isWellFormed() &&
    !(name in Object.prototype)
  )
    return
  throw new InvalidOptionError(
    `${subject}: ${option} is ${quoted(name)}: give 1 to 100 characters without spaces, control characters, commas or "*".`,
  )
}
