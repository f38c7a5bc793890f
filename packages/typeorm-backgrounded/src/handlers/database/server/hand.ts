import { removeFrom } from '../../../remove-from'
import type { RowsRead } from '../../handler'
import { HeldJob } from '../../held-job'
import type { ClaimedRow, HeldRow } from '../claimed-row'
import type { Fence } from './leased-jobs'

/** What one worker has in its hand: jobs that it runs, and jobs that it has not begun yet. */
export class Hand {
  private readonly held: HeldRow[] = []
  private found: HeldRow[] = []

  constructor(private readonly storeProgress: (fence: Fence, value: unknown) => void) {}

  /** @param died their last worker did: they are not run, only given an outcome */
  take(rows: Iterable<ClaimedRow>, died = false, read?: RowsRead): void {
    for (const row of rows) {
      const job = new HeldJob(row, row, died, this.storeProgress, read)
      this.held.push(job)
      this.found.push(job)
    }
  }

  /** Those to begin now. The jobs of the dead need no slot. */
  handOut(slots: number): HeldRow[] {
    const given: HeldRow[] = []
    const kept: HeldRow[] = []
    for (const job of this.found) (job.died || slots-- > 0 ? given : kept).push(job)
    this.found = kept
    return given
  }

  letGo(jobs: Iterable<HeldRow>): void {
    for (const job of jobs) removeFrom(this.held, job)
  }

  /** Those that run, or are about to, and are not among those that have ended. */
  suspects(ended: ReadonlySet<HeldRow>): readonly HeldRow[] {
    return this.held.filter((job) => job.claim.suspect > 0 && !job.died && !ended.has(job))
  }

  get isEmpty(): boolean {
    return this.held.length === 0
  }

  /** Not begun, and to be run. */
  get unstarted(): readonly HeldRow[] {
    return this.found.filter(({ died }) => !died)
  }

  /** Nothing is in it that has not been handed out. */
  get isHandedOut(): boolean {
    return this.found.length === 0
  }

  get hasDead(): boolean {
    return this.found.some(({ died }) => died)
  }

  /** For the message about a process that hangs. */
  get names(): string[] {
    return this.held.map(({ name }) => name)
  }

  loseAll(): void {
    for (const job of this.held) job.lose()
  }

  /** Loses what `rows`, all that the table says of this worker, lacks, and takes what only the table knows of. */
  compare(rows: readonly ClaimedRow[], ended: ReadonlySet<HeldRow>): void {
    const stored = new Map(rows.map((row) => [keyOf(row), row]))
    const gone = new Set<HeldRow>()
    for (const job of this.held) {
      if (stored.delete(keyOf(job.claim)) || ended.has(job)) continue
      job.lose()
      gone.add(job)
    }
    this.letGo(this.found.filter((job) => gone.has(job)))
    this.found = this.found.filter((job) => !gone.has(job))
    // A suspect may have been taken over, not claimed: it is not run before that is sorted out.
    for (const row of stored.values()) this.take([row], row.suspect > 0)
  }
}

function keyOf({ id, lease }: Fence): string {
  return `${id}/${lease}`
}
