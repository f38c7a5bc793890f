import { types } from 'node:util'
import { InvalidOptionError, UnsupportedOptionError } from './errors'
import type { EntityManager } from 'typeorm'
import { checkBackoff, type Backoff } from './job/backoff'
import { milliseconds, type Duration } from './job/duration'

/** What to do with a job whose row is gone. */
export type OnMissing = 'discard' | 'fail' | 'retry'

/** Options of a marked method, given to the decorators. */
export interface MethodOptions {
  /** Default `'default'`. */
  readonly queue?: string
  /** −10 … 10, lower first, default 0. */
  readonly priority?: number
  /** How often the method may run before the job fails for good, default 10. */
  readonly attempts?: number
  /** Default: attempt⁴ + 2 s, with jitter. */
  readonly backoff?: Backoff
  /** When the row is gone: drop the job and keep the reason (`'discard'`, default), fail it, or retry. */
  readonly onMissing?: OnMissing
  /** Find soft-deleted rows too, default false. */
  readonly withDeleted?: boolean
  /** Relations to load with the row, as `find` takes them. */
  readonly relations?: readonly string[] | Readonly<Record<string, unknown>>
  /** A stable name for the method in stored jobs; default its own. */
  readonly name?: string
}

/** Options of one call. */
export interface CallOptions {
  /** Run no sooner than this from now: ms or '5m'. */
  readonly delay?: Duration
  /** Run no sooner than this moment. */
  readonly runAt?: Date
  readonly queue?: string
  readonly priority?: number
  readonly attempts?: number
  /** The transaction to follow; `null`: none, the job goes out at once. */
  readonly manager?: EntityManager | null
}

/** Method options with every default filled in. */
export type ResolvedMethodOptions = Required<
  Pick<MethodOptions, 'queue' | 'priority' | 'attempts' | 'onMissing' | 'withDeleted'>
> &
  Pick<MethodOptions, 'backoff' | 'relations' | 'name'>

const METHOD_OPTIONS = ['queue', 'priority', 'attempts', 'backoff', 'onMissing', 'withDeleted', 'relations', 'name']
const CALL_OPTIONS = ['delay', 'runAt', 'queue', 'priority', 'attempts', 'manager']
const LATER_OPTIONS = ['unique', 'exclusive', 'transactional', 'timeout']

/** @throws InvalidOptionError, UnsupportedOptionError */
export function checkMethodOptions(options: MethodOptions, subject: string): void {
  checkNames(options, METHOD_OPTIONS, subject)
  checkShared(options, subject)
  if (options.backoff !== undefined) checkBackoff(options.backoff, subject)
  if (options.onMissing !== undefined && !['discard', 'fail', 'retry'].includes(options.onMissing)) {
    throw new InvalidOptionError(
      `${subject}: onMissing is ${String(options.onMissing)}: give 'discard', 'fail' or 'retry'.`,
    )
  }
  if (options.withDeleted !== undefined && typeof options.withDeleted !== 'boolean') {
    throw new InvalidOptionError(`${subject}: withDeleted is ${String(options.withDeleted)}: give true or false.`)
  }
  if (options.relations !== undefined && typeof options.relations !== 'object') {
    throw new InvalidOptionError(
      `${subject}: relations is ${String(options.relations)}: give what find() takes, as ['tags'].`,
    )
  }
  if (options.name !== undefined) checkName(options.name, 'name', subject)
}

/** @throws InvalidOptionError, UnsupportedOptionError */
export function checkCallOptions(options: CallOptions, subject: string): void {
  checkNames(options, CALL_OPTIONS, subject)
  checkShared(options, subject)
  if (options.delay !== undefined) milliseconds(options.delay, `${subject}: delay`)
  if (options.runAt !== undefined) {
    if (!types.isDate(options.runAt) || Number.isNaN(options.runAt.getTime())) {
      throw new InvalidOptionError(`${subject}: runAt is no valid Date.`)
    }
    if (options.delay !== undefined) throw new InvalidOptionError(`${subject}: give delay or runAt, not both.`)
  }
}

function checkNames(options: object, known: readonly string[], subject: string): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    if (LATER_OPTIONS.includes(name)) {
      throw new UnsupportedOptionError(
        `${subject}: the option "${name}" comes with a later version: leave it out for now.`,
      )
    }
    throw new InvalidOptionError(`${subject}: there is no option "${name}"; there are ${known.join(', ')}.`)
  }
}

function checkShared({ queue, priority, attempts }: MethodOptions | CallOptions, subject: string): void {
  if (queue !== undefined) checkName(queue, 'queue', subject)
  if (priority !== undefined && !(Number.isInteger(priority) && Math.abs(priority) <= 10)) {
    throw new InvalidOptionError(
      `${subject}: priority is ${priority}: give a whole number from -10 (first) to 10 (last).`,
    )
  }
  if (attempts !== undefined && !(Number.isInteger(attempts) && attempts >= 1)) {
    throw new InvalidOptionError(`${subject}: attempts is ${attempts}: give a whole number from 1 on.`)
  }
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
    `${subject}: ${option} is ${JSON.stringify(name)}: give 1 to 100 characters without spaces, control characters, commas or "*".`,
  )
}
