import { DefectGrace } from './defect-grace'
import { retryDelay } from './retry-delay'

/** How long the store has failed, and how long to wait before it is asked again. */
export class StoreOutage {
  private readonly defects = new DefectGrace()
  /** By `performance.now()`. */
  private since: number | undefined
  private pauses = 0

  /** Whether the worker must end, because waiting would not help. */
  endsWorker(error: unknown): boolean {
    return this.defects.endsWorker(error)
  }

  failed(): void {
    this.since ??= performance.now()
  }

  answered(): void {
    this.since = undefined
    this.pauses = 0
    this.defects.worked()
  }

  /** Whether the store has failed for `time` ms or longer. */
  hasLasted(time: number): boolean {
    return this.since !== undefined && performance.now() - this.since >= time
  }

  /** Returns the length of the next pause in ms. */
  nextPause(): number {
    return retryDelay(this.pauses++)
  }
}
