import { milliseconds, type Duration } from '../job/duration'

/** Thrown by a method: the job is over, never retried, its reason kept. */
export class DiscardJob extends Error {
  constructor(reason = 'discarded by the method') {
    super(reason)
    this.name = 'DiscardJob'
  }
}

/** Thrown by a method: run again after `delay` (ms or '5m') without using an attempt. */
export class SnoozeJob extends Error {
  /** ms */
  readonly delay: number

  constructor(delay: Duration, reason = 'snoozed by the method') {
    super(reason)
    this.name = 'SnoozeJob'
    this.delay = milliseconds(delay, 'SnoozeJob')
  }
}
