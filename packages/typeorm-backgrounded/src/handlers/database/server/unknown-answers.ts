import type { InFlightRow } from '../claimed-row'
import type { InFlightJobs } from './in-flight-jobs'
import type { LeasedJobs } from './leased-jobs'

/**
 * Whether a statement of this worker has had no answer, so that its jobs in flight may differ from those that the table
 * shows as claimed by it. They have to be compared before the next claim.
 */
export class UnknownAnswers {
  private isUnknown = false
  /** By `performance.now()`. */
  private until = -Infinity

  constructor(
    /** ms */
    private readonly lease: number,
    private readonly onUnknown: () => void,
  ) {}

  get hasAny(): boolean {
    return this.isUnknown
  }

  /** A statement has had no answer. It may still take effect later, so the state stays unknown for one lease. */
  add(): void {
    this.until = performance.now() + this.lease
    this.compareAgain()
    this.onUnknown()
  }

  /** Other workers may have taken this one for dead while it waited for an answer. */
  compareAgain(): void {
    this.isUnknown = true
  }

  /** @param time when a statement was sent that has been answered; an earlier one may take effect after it */
  compareAgainAfter(time: number): void {
    if (time < this.until) this.compareAgain()
  }

  /** Compares the jobs in flight here with those that the table shows as claimed by this worker. */
  async resolve(jobs: LeasedJobs, inFlight: InFlightJobs, ended: ReadonlySet<InFlightRow>): Promise<void> {
    const rows = await jobs.claimedByThisWorker()
    this.compared()
    inFlight.reconcileWith(rows, ended)
  }

  /** The jobs have been read, to be compared. */
  compared(): void {
    this.isUnknown = false
  }
}
