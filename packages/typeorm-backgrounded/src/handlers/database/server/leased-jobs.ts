import type { PrefetchedRows } from '../../contract/built-in'
import type { ClaimedRow } from '../claimed-row'
import type { RowOutcome, Suspicion } from '../row-outcome'

/** What one worker does with the job table of a database server, over a connection of its own. */
export interface LeasedJobs {
  /** @throws OutdatedTableError, MissingTableError when a table or a column is missing */
  check(): Promise<void>
  /** Stores that this worker is alive. Returns false when it was not in the table of workers, or no longer. */
  beat(): Promise<boolean>
  /**
   * This worker has stopped. Its row stays until another worker removes it, because it says when the store was last
   * reached.
   */
  leave(): Promise<void>
  /** Removes completed jobs and claims due ones: lanes in the order of queues and priorities, jobs by due time. */
  acknowledgeAndClaim(request: AcknowledgeAndClaim): Promise<Claimed>
  /** Claims up to `limit` suspects of a lane. */
  claimSuspects(lane: Lane, limit: number, lease: number): Promise<readonly ClaimedRow[]>
  /** Stores what became of jobs. Returns the ids of those that were still claimed by this worker. */
  applyOutcomes(outcomes: readonly (RowOutcome & Fence)[]): Promise<ReadonlySet<string>>
  /**
   * Takes over the jobs of dead workers and removes these workers, in one step. A worker is dead when its last beat is
   * older than its lease, not counting the time in which no worker at all was in contact with the store.
   */
  reap(lease: number): Promise<readonly ClaimedRow[]>
  /** Whether a job is claimed by a worker whose last beat is older than a lease. */
  hasOrphans(): Promise<boolean>
  /** All jobs that the table shows as claimed by this worker. */
  claimedByThisWorker(): Promise<readonly ClaimedRow[]>
  /** Stores the progress of jobs that this worker has claimed; all other jobs are left alone. */
  storeProgress(values: readonly (Fence & { readonly progress: string | null })[]): Promise<void>
  /**
   * Removes completed jobs that ended more than `age` ms ago. Returns false when there may be more of them.
   */
  prune(age: number): Promise<boolean>
}

/** Names one claim of one job by this worker. */
export interface Fence {
  readonly id: string
  readonly lease: number
}

export interface AcknowledgeAndClaim {
  readonly done: readonly Fence[]
  readonly slots: number
  /** The number of the lease that the claimed jobs get. */
  readonly lease: number
  /** Where to claim from; absent: scan all lanes. */
  readonly lanes?: readonly Lane[]
}

export interface Claimed {
  /** Jobs of one lane are in the order of due time and id. */
  readonly claimed: readonly ClaimedRow[]
  /** Ids of the `done` jobs that this worker no longer had a lease on. */
  readonly leaseLost: ReadonlySet<string>
  /** The lanes with waiting jobs, as they were before the claim. */
  readonly lanes: readonly Lane[]
  /** Rows that the claimed jobs may need. */
  readonly prefetched?: PrefetchedRows
}

/** The waiting jobs of one queue and one priority. No job waits in it before the position `runAt`, `id`. */
export interface Lane {
  readonly suspect: Suspicion
  readonly queue: string
  readonly priority: number
  readonly runAt: number
  readonly id: string
  /** ms until the first job is due. */
  readonly wait: number
}
