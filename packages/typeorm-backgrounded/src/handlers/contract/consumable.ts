import type { Outcome } from './outcome'

/** A handler whose jobs a worker can run, or that runs them itself (`consumes: 'inline'`). */
export interface Consumable {
  /**
   * Claims jobs while there are free slots, runs each through `execute`, applies its outcome, and tells
   * `options.applied` once the store has it.
   */
  consume(options: ConsumeOptions, execute: Execute): Consumption
}

export type Execute = (job: ClaimedJob) => Promise<Outcome>

export interface ConsumeOptions {
  /** In order of preference; `'*'` for all. */
  readonly queues: readonly string[] | '*'
  /** Jobs at a time. A worker always says: how many can run beside each other is a matter of the data source. */
  readonly concurrency?: number
  /** ms between looks at a store that does not say when there is work. */
  readonly pollInterval: number
  /** End when nothing is due any more; what was released or failed meanwhile is not taken again. */
  readonly once: boolean
  /** For a handler that watches over the event loop: after how many ms without a turn the process counts as hung. */
  readonly maxSilence?: number
  /** The store has the outcome of this job. */
  applied(job: ClaimedJob, outcome: Outcome): void
  /** Somebody else has this job now; its outcome was not stored. */
  lost(job: ClaimedJob): void
}

/** A running `consume`. */
export interface Consumption {
  /** Jobs at a time. */
  readonly concurrency: number
  /** Connections to the store that it holds beside the data source's pool. */
  readonly connections?: number
  /** Resolves when it has ended; rejects when it cannot go on. */
  readonly finished: Promise<void>
  /** Resolves when the store was reached for the first time; absent: it is reached already. */
  readonly ready?: Promise<void>
  /**
   * Claims nothing more, waits for what is running until `deadline` (ms since the epoch), and resolves.
   * With `exiting`, what still runs then goes back to the queue: the caller's exit ends it at once.
   */
  stop(deadline: number, options?: { exiting?: boolean }): Promise<void>
}

/** A job in the hands of this worker. */
export interface ClaimedJob {
  readonly id: string
  readonly queue: string
  /** As stored, unchecked: see `readEnvelope`. */
  readonly envelope: unknown
  /** Counted by the claim: 1 for the first run. */
  readonly attempt: number
  /** Its last worker died; it is not to be run now, only to be given an outcome. */
  readonly died?: boolean
  /** ms since the epoch: since when it has been going back for something this worker lacks. */
  readonly releasedSince?: number
  /** Aborts with the lease. */
  readonly signal?: AbortSignal
  /** Stores how far the job has come. */
  progress?(value: unknown): void
}
