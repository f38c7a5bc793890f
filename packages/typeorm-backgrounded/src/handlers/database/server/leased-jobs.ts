import type { PrefetchedRows } from '../../contract/built-in'
import type { ClaimedRow } from '../claimed-row'
import type { RowOutcome, Suspicion } from '../row-outcome'

/** The job table of a database server, as one worker works on it, over a connection of its own. */
export interface LeasedJobs {
  /** @throws OutdatedTableError, MissingTableError where the tables are not as the statements need them */
  check(): Promise<void>
  /** Says that this worker lives. False: it was not, or no more, on the list. */
  beat(): Promise<boolean>
  /** This worker runs nothing any more: until others have come, its place on the list says when the store was reached last. */
  leave(): Promise<void>
  /** Removes what is done, and claims what is due: lanes by order, jobs by due time. */
  acknowledgeAndClaim(request: AcknowledgeAndClaim): Promise<Claimed>
  /** Claims the first suspects of a lane, as far as they are still there. */
  claimSuspects(lane: Lane, limit: number, lease: number): Promise<readonly ClaimedRow[]>
  /** Returns the ids of those that were this worker's. */
  applyOutcomes(settlements: readonly (RowOutcome & Fence)[]): Promise<ReadonlySet<string>>
  /**
   * Takes over what runs with dead workers, and takes these off the list, in one step: those whose last beat is older
   * than a lease, of which the time does not count in which the store heard of no worker at all.
   */
  reap(lease: number): Promise<readonly ClaimedRow[]>
  /** Something runs with a worker that has given no sign of life for a lease. */
  hasOrphans(): Promise<boolean>
  /** Everything that runs with this worker, as the table has it. */
  claimedByThisWorker(): Promise<readonly ClaimedRow[]>
  /** Of jobs that are this worker's; all others are left alone. */
  storeProgress(values: readonly (Fence & { readonly progress: string | null })[]): Promise<void>
  /** Removes completed jobs that ended longer ago, in ms. False: there may be more of them. */
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
  /** Of what is claimed. */
  readonly lease: number
  /** Where to look; absent: find out. */
  readonly lanes?: readonly Lane[]
}

export interface Claimed {
  /** Those of one lane by due time and id. */
  readonly claimed: readonly ClaimedRow[]
  /** Ids of done jobs that were not this worker's any more. */
  readonly leaseLost: ReadonlySet<string>
  /** Those with waiting jobs, as they were before the claim. */
  readonly lanes: readonly Lane[]
  /** Rows that the claimed jobs may need. */
  readonly prefetched?: PrefetchedRows
}

/** The waiting jobs of one queue and one priority: nothing waits in it before `runAt` and `id`. */
export interface Lane {
  readonly suspect: Suspicion
  readonly queue: string
  readonly priority: number
  readonly runAt: number
  readonly id: string
  /** ms until the first is due. */
  readonly wait: number
}
