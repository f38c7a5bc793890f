import type { RowsRead } from '../../handler'
import type { ClaimedRow } from '../claimed-row'
import type { Settlement, Suspicion } from '../settlement'

/** The job table of a database server, as one worker works on it, over a connection of its own. */
export interface LeasedJobs {
  /** @throws OutdatedTableError, MissingTableError where the tables are not as the statements need them */
  check(): Promise<void>
  /** Says that this worker lives. False: it was not, or no more, on the list. */
  beat(): Promise<boolean>
  /** This worker runs nothing any more: until others have come, its place on the list says when the store was reached last. */
  leave(): Promise<void>
  /** Removes what is done, and claims what is due: levels by order, jobs by due time. */
  exchange(request: ExchangeRequest): Promise<ExchangeReply>
  /** Claims the first suspects of a level, as far as they are still there. */
  claimSuspects(level: Level, limit: number, lease: number): Promise<readonly ClaimedRow[]>
  /** Returns the ids of those that were this worker's. */
  settle(settlements: readonly (Settlement & Fence)[]): Promise<ReadonlySet<string>>
  /**
   * Takes over what runs with dead workers, and takes these off the list, in one step: those whose last beat is older
   * than a lease, of which the time does not count in which the store heard of no worker at all.
   */
  reap(lease: number): Promise<readonly ClaimedRow[]>
  /** Something runs with a worker that has given no sign of life for a lease. */
  hasOrphans(): Promise<boolean>
  /** Everything that runs with this worker, as the table has it. */
  held(): Promise<readonly ClaimedRow[]>
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

export interface ExchangeRequest {
  readonly done: readonly Fence[]
  readonly slots: number
  /** Of what is claimed. */
  readonly lease: number
  /** Where to look; absent: find out. */
  readonly levels?: readonly Level[]
}

export interface ExchangeReply {
  /** Those of one level by due time and id. */
  readonly claimed: readonly ClaimedRow[]
  /** Ids of done jobs that were not this worker's any more. */
  readonly lost: ReadonlySet<string>
  /** Those with waiting jobs, as they were before the claim. */
  readonly levels: readonly Level[]
  /** Rows that the claimed jobs may need. */
  readonly read?: RowsRead
}

/** The waiting jobs of one queue and one priority: nothing waits in it before `runAt` and `id`. */
export interface Level {
  readonly suspect: Suspicion
  readonly queue: string
  readonly priority: number
  readonly runAt: number
  readonly id: string
  /** ms until the first is due. */
  readonly wait: number
}
