import { isDefectError } from '../../database/errors'

/** ms */
const GRACE = 30_000

/**
 * Decides when an error of the store ends a worker. Waiting does not help when a column or a permission is missing, so a
 * worker that starts with such an error ends at once. A worker that has worked before waits for `GRACE` ms, because a table
 * may be away for a moment while its schema is changed.
 */
export class DefectGrace {
  private hasWorked = false
  private since: number | undefined

  constructor(
    private readonly grace = GRACE,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Called when the store has answered without an error. */
  worked(): void {
    this.hasWorked = true
    this.since = undefined
  }

  endsWorker(error: unknown): boolean {
    if (!isDefectError(error)) {
      this.since = undefined
      return false
    }
    this.since ??= this.now()
    return !this.hasWorked || this.now() - this.since >= this.grace
  }
}
