import { milliseconds, type Duration } from '../job/duration'
import { attempt } from '../reporting/text-of'

const BRAND = Symbol.for('typeorm-backgrounded.outcome')

/** Thrown by a method to discard its job: it is not retried, and the reason is kept. */
export class DiscardJob extends Error {
  constructor(reason = 'discarded by the method') {
    super(reason)
    this.name = 'DiscardJob'
  }
}

/** Thrown by a method to run its job again after `delay` (ms or '5m') without using an attempt. */
export class SnoozeJob extends Error {
  /** ms */
  readonly delay: number

  constructor(delay: Duration, reason = 'snoozed by the method') {
    super(reason)
    this.name = 'SnoozeJob'
    this.delay = milliseconds(delay, 'SnoozeJob')
  }
}

Object.defineProperty(DiscardJob.prototype, BRAND, { value: 'discard' })
Object.defineProperty(SnoozeJob.prototype, BRAND, { value: 'snooze' })

/**
 * Which of the two a method has thrown. Recognised by a symbol and not by `instanceof`, so that those of a second copy of
 * the library count, and a revoked proxy does no harm.
 */
export function thrownOutcome(thrown: unknown): 'discard' | 'snooze' | undefined {
  const brand = attempt(() => (thrown as { readonly [BRAND]?: unknown } | null | undefined)?.[BRAND], undefined)
  return brand === 'discard' || brand === 'snooze' ? brand : undefined
}

/** The delay of a job whose own cannot be read, because without a delay it would run again and again. */
const UNREADABLE_DELAY = 1_000

/** How long a `SnoozeJob` asks for, in ms. */
export function snoozeDelay(thrown: unknown): number {
  const delay = attempt((): unknown => (thrown as SnoozeJob).delay, undefined)
  return typeof delay === 'number' && delay >= 0 ? delay : UNREADABLE_DELAY
}
