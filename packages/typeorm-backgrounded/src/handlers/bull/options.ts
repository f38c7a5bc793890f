import type { AdvancedSettings } from 'bull'
import type { RedisOptions } from 'ioredis'
import { InvalidOptionError } from '../../errors'
import { milliseconds, type Duration } from '../../job/duration'
import { described, isPlainObject, quoted } from '../../job/known-options'
import { attempt } from '../../reporting/text-of'
import { kindOf, redisOf, type CreateClient, type RedisOption } from './redis-option'

export interface BullHandlerOptions {
  /**
   * A URL, ioredis options, an ioredis instance (which is not used itself: the handler connects as it does), or a function
   * that makes connections. Left out: `redis://127.0.0.1:6379`; an `undefined` is refused.
   */
  readonly redis?: RedisOption
  /**
   * Begins every key, default `'backgrounded'`. Give each application that shares a Redis its own. On a Redis Cluster
   * it needs a hash tag: `'{backgrounded}'`.
   */
  readonly prefix?: string
  /**
   * Bull's settings, in ms. A worker takes `lockDuration` as its lease, how long it lives without a beat (default
   * 20 s), `lockRenewTime` as its beat (a quarter of that, and no longer), and `stalledInterval` as how often it looks for dead workers' jobs (2 s). The others
   * concern raw queues only: deaths count as attempts, whatever `maxStalledCount` says.
   */
  readonly settings?: AdvancedSettings
  /** How long a call waits for Redis before it rejects, or goes to the outbox; default 900 ms. */
  readonly timeout?: Duration
  /** How long, and how many in each queue, failed and discarded jobs are kept; default 30 days and 10,000. */
  readonly keepFailed?: { readonly age?: Duration; readonly count?: number }
}

/** The options with every default filled in. Times are in ms. */
export interface ResolvedBullOptions {
  readonly redis: RedisOptions | CreateClient
  readonly prefix: string
  readonly settings: AdvancedSettings
  readonly timeout: number
  readonly lease: number
  readonly beat: number
  /** The longest time between two beats of any workers that does not count as an outage of Redis. */
  readonly gap: number
  readonly lookAround: number
  readonly keepFailed: { readonly age: number; readonly count: number }
}

/** @throws InvalidOptionError */
export function resolveOptions(options: BullHandlerOptions): ResolvedBullOptions {
  checkNames(options, OPTIONS, 'BullHandler')
  const { prefix = 'backgrounded', settings = {}, timeout = 900, keepFailed = {} } = options
  checkNames(settings, SETTINGS, 'BullHandler: settings')
  checkNames(keepFailed, ['age', 'count'], 'BullHandler: keepFailed')
  if (typeof prefix !== 'string' || !/^[^\s:]{1,100}$/.test(prefix)) {
    throw new InvalidOptionError(
      `BullHandler: prefix is ${quoted(prefix)}: give 1 to 100 characters without spaces or ":".`,
    )
  }
  const lease = positive(settings.lockDuration ?? 20_000, 'settings.lockDuration')
  const renewTime = positive(settings.lockRenewTime ?? lease / 4, 'settings.lockRenewTime')
  if (renewTime > lease / 2) {
    throw new InvalidOptionError(
      `BullHandler: settings.lockRenewTime is ${renewTime}, and lockDuration ${lease}: a worker must renew its lease at least twice in its time.`,
    )
  }
  // A beat, a gap that does not count as an outage, and another beat together take less than a lease.
  const beat = Math.min(renewTime, lease / 4)
  const { age = '30d', count = 10_000 } = keepFailed
  if (!Number.isInteger(count) || count < 0)
    throw new InvalidOptionError(`BullHandler: keepFailed.count is ${count}: give a whole number from 0 on.`)
  return {
    redis: redisOf('redis' in options ? options.redis : {}),
    prefix,
    settings,
    timeout: positive(milliseconds(timeout, 'BullHandler: timeout'), 'timeout'),
    lease,
    beat,
    gap: 1.5 * beat,
    lookAround: positive(settings.stalledInterval ?? Math.min(2_000, lease / 4), 'settings.stalledInterval'),
    keepFailed: { age: milliseconds(age, 'BullHandler: keepFailed.age'), count },
  }
}

const OPTIONS = ['redis', 'prefix', 'settings', 'timeout', 'keepFailed']
const SETTINGS = [
  'lockDuration',
  'lockRenewTime',
  'stalledInterval',
  'maxStalledCount',
  'guardInterval',
  'retryProcessDelay',
  'backoffStrategies',
  'drainDelay',
  'isSharedChildPool',
]

/** Shows only names, because the value may be a URL with a password in it. */
function checkNames(options: object, known: readonly string[], subject: string): void {
  if (!isPlainObject(options)) {
    const kind = attempt(() => kindOf(options), 'an object')
    throw new InvalidOptionError(
      `${subject} was given ${kind === 'an object' ? described(options) : kind}: give a plain object.`,
    )
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined)
    throw new InvalidOptionError(`${subject} has no option "${unknown}"; the options are ${known.join(', ')}.`)
}

function positive(value: number, name: string): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value
  throw new InvalidOptionError(`BullHandler: ${name} is ${String(value)}: give milliseconds above 0.`)
}
