import { sleep } from '../../../concurrency/sleep'
import { pollDelay } from './polling'

/** When a worker without due jobs asks the database again. All times are by `performance.now()`. */
export class IdleTime {
  private lastWork = performance.now()
  private hasNewJobs = false
  private nextDue = Infinity
  private wake = () => {}

  constructor(
    /** ms */
    private readonly pollInterval: number,
  ) {}

  hasWorked(): void {
    this.lastWork = performance.now()
  }

  /** Jobs that arrive after this may not be seen by the claim. */
  claimBegins(): void {
    this.hasNewJobs = false
  }

  /** @param waits ms until each known job is due */
  claimEnded(now: number, waits: readonly number[]): void {
    this.nextDue = now + Math.min(Infinity, ...waits.filter((wait) => wait > 0))
  }

  /** Ends the idle time after `wait` ms at the latest. */
  endWithin(wait: number): void {
    this.nextDue = Math.min(this.nextDue, performance.now() + wait)
  }

  jobsArrived(): void {
    this.hasNewJobs = true
    this.wake()
  }

  async pass(signal: AbortSignal, isListening: boolean): Promise<void> {
    if (this.hasNewJobs) return
    const over = new AbortController()
    this.wake = () => over.abort()
    const poll = pollDelay(this.pollInterval, performance.now() - this.lastWork, isListening)
    await sleep(Math.max(0, Math.min(poll, this.nextDue - performance.now())), AbortSignal.any([signal, over.signal]))
  }
}
