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

  /** The jobs are about to be compared with the rows that have just been read. */
  resolve(): void {
    this.isUnknown = false
  }
}
