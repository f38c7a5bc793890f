import { LazyAbort } from '../../../lazy-abort'
import type { ClaimedJob } from '../../handler'
import { loseLease } from '../../store-consumption'
import type { ClaimedRow } from '../claimed-row'
import type { Fence } from './leased-jobs'

interface Held {
  readonly fence: Fence
  readonly loss: LazyAbort
  readonly isSuspect: boolean
}

/** What one worker has in its hand: jobs that it runs, and jobs that it has not begun yet. */
export class Hand {
  private readonly held = new Map<ClaimedJob, Held>()
  private found: ClaimedJob[] = []

  constructor(private readonly storeProgress: (fence: Fence, value: unknown) => void) {}

  /** @param died their last worker did: they are not run, only given an outcome */
  take(rows: Iterable<ClaimedRow>, died = false): void {
    for (const row of rows) this.found.push(this.hold(row, died))
  }

  /** Those to begin now. The jobs of the dead need no slot. */
  handOut(slots: number): ClaimedJob[] {
    const given = this.found.filter(({ died }) => died || slots-- > 0)
    this.found = this.found.filter((job) => !given.includes(job))
    return given
  }

  letGo(jobs: readonly ClaimedJob[]): void {
    for (const job of jobs) this.held.delete(job)
  }

  fenceOf(job: ClaimedJob): Fence {
    return (this.held.get(job) as Held).fence
  }

  /** One that is in the hand and not among those that have ended. */
  hasSuspect(ended: ReadonlySet<ClaimedJob>): boolean {
    return [...this.held].some(([job, { isSuspect }]) => isSuspect && !ended.has(job))
  }

  get isEmpty(): boolean {
    return this.held.size === 0
  }

  /** Not begun, and to be run. */
  get unstarted(): readonly ClaimedJob[] {
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
    return [...this.held.keys()].map(nameOf)
  }

  loseAll(): void {
    for (const { loss } of this.held.values()) loseLease(loss)
  }

  /** Loses what `rows`, all that the table says of this worker, lacks, and takes what only the table knows of. */
  compare(rows: readonly ClaimedRow[], ended: ReadonlySet<ClaimedJob>): void {
    const stored = new Map(rows.map((row) => [keyOf(row), row]))
    const gone = new Set<ClaimedJob>()
    for (const [job, { fence, loss }] of this.held) {
      if (stored.delete(keyOf(fence)) || ended.has(job)) continue
      loseLease(loss)
      gone.add(job)
    }
    this.letGo(this.found.filter((job) => gone.has(job)))
    this.found = this.found.filter((job) => !gone.has(job))
    // A suspect may have been taken over, not claimed: it is not run before that is sorted out.
    for (const row of stored.values()) this.take([row], row.suspect === 1)
  }

  private hold(row: ClaimedRow, died: boolean): ClaimedJob {
    const loss = new LazyAbort()
    const { id, queue, attempt, suspect, lease, releasedSince } = row
    const fence = { id, lease }
    const job: ClaimedJob = {
      id,
      queue,
      envelope: row,
      attempt,
      died,
      releasedSince: releasedSince ?? undefined,
      get signal() {
        return loss.signal
      },
      progress: (value) => this.storeProgress(fence, value),
    }
    this.held.set(job, { fence, loss, isSuspect: suspect === 1 })
    return job
  }
}

function keyOf({ id, lease }: Fence): string {
  return `${id}/${lease}`
}

function nameOf({ id, envelope }: ClaimedJob): string {
  const { entity, method } = (envelope ?? {}) as Record<string, unknown>
  return `${String(entity)}.${String(method)} (${id})`
}
