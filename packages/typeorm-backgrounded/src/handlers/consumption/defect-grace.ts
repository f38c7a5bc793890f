import { isDefectError } from '../../database/errors'

/** ms */
const GRACE = 30_000

/**
 * Decides when an error of the store ends a worker. No waiting mends a missing column or a permission, so a worker that
 * begins with one ends at once. One that has worked before waits a little: a table may be renamed away for a moment
 * while its schema is changed.
 */
export class DefectGrace {
  private hasWorked = false
  private since: number | undefined

  constructor(
    private readonly grace = GRACE,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The store has done what it was asked for. */
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
