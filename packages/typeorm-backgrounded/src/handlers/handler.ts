import type { DataSource, EntitySchema, MixedList, QueryRunner } from 'typeorm'
import type { Duration } from '../job/duration'
import type { JobEnvelope } from '../job/envelope'
import type { Logger } from '../logger'

/**
 * Where jobs are kept. A handler is a translation: it takes envelopes, never entities, and decides nothing
 * about a job by itself.
 */
export interface Handler {
  /** For logs and messages, as `'database'`. */
  readonly name: string
  /**
   * Where its jobs are kept, as `'bull:shop'`; default its name. A job in the outbox names it, and only processes whose
   * handler has the same one push it. The same over deploys, and without secrets.
   */
  readonly destination?: string
  readonly capabilities: HandlerCapabilities
  /** Called when the data source is initialised. May throw to refuse it. */
  attach?(host: HandlerHost): void
  /** Entities for the tables that it needs in the user's data source; the same ones whenever it is asked.
   * @param driver the data source's `type`
   * @param dataSource for its naming strategy; its metadata are not built yet
   */
  entities?(driver: string, dataSource: DataSource): EntityTargets
  /**
   * Stores jobs, all in one go where it can; one result per job, in order. A rejection means that none was stored.
   * @param transaction the caller's open transaction; given only where `capabilities.transactional`
   */
  enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<readonly EnqueueResult[]>
  /** Jobs that it stored within a caller's transaction are committed now, and may be told of. */
  committed?(jobs: readonly JobEnvelope[]): void
  /** Ends what keeps the process alive; `attach` may follow again. */
  close?(): void | Promise<void>
}

export type EntityTargets = Extract<MixedList<string | Function | EntitySchema>, readonly unknown[]> // eslint-disable-line @typescript-eslint/no-unsafe-function-type

export interface HandlerHost {
  readonly dataSource: DataSource
  /** Name of the data source in envelopes. */
  readonly source: string
  readonly logger: Logger
  /** How long to keep completed jobs, in ms; 0: remove them at once. */
  readonly keepCompleted: number
  /** Of a test's own transaction, never to be committed: while it is open, what it wrote is seen through it only. */
  testRunner(): QueryRunner | undefined
}

/** What a handler can do, as data: read before every enqueue, and by the conformance suite. */
export interface HandlerCapabilities {
  /** Writes jobs inside the caller's transaction when given its query runner. */
  readonly transactional: boolean
  /** Concurrent calls are worth sending as one `enqueue`; otherwise each call is sent by itself, at once. */
  readonly batches: boolean
  /** Which options of a job it honours; the others are refused where they are written. */
  readonly honours: { readonly delay: boolean; readonly priority: boolean; readonly keepCompleted: boolean }
  /** `'worker'`: it is `Consumable`. `'inline'`: it runs jobs inside `enqueue`. `'never'`: it runs none. */
  readonly consumes: 'worker' | 'inline' | 'never'
  /** It is `Inspectable`. */
  readonly inspects: boolean
  /**
   * Its jobs live and die with this process, as those of a test double do: an outbox could not save them for
   * anybody. Default false.
   */
  readonly inProcess?: boolean
  /** It is `Relayed`. Default false: a relay that dies between a push and its note of it may push again. */
  readonly remembersPushes?: boolean
}

/** What became of one job of an `enqueue`. */
export type EnqueueResult =
  | {
      readonly state: 'enqueued' | 'duplicate' | 'performed' | 'deferred'
      /** For `'deferred'`: settles when the store has the job, or has refused it. */
      readonly delivered?: Promise<void>
    }
  | { readonly state: 'failed'; readonly error: unknown }

/**
 * A handler outside the database that lets the outbox push each job once, whoever dies on the way. Its `enqueue`
 * remembers ids too, until its answer has arrived: a call whose answer was lost is pushed by the outbox later on.
 */
export interface Relayed {
  /**
   * Like `enqueue`, and in the same step remembers the ids until `forget`: a job whose id is remembered is
   * `'duplicate'`, even when it has run and is gone.
   * @param validFor ms: what reaches the store later than this from now stores nothing and rejects
   */
  push(jobs: readonly JobEnvelope[], validFor: number): Promise<readonly EnqueueResult[]>
  /** The outbox has no row of these jobs any more. */
  forget(ids: readonly string[]): Promise<void>
}

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
  /**
   * Which rows are most likely needed by what is claimed next, for a handler in the same database that can read them
   * along with the claim. Asked before each.
   */
  reading?(): RowReading | undefined
  /** The store has the outcome of this job. */
  applied(job: ClaimedJob, outcome: Outcome): void
  /** Somebody else has this job now; its outcome was not stored. */
  lost(job: ClaimedJob): void
}

/** A read of rows that jobs name by their keys. */
export interface RowReading {
  /** Of these jobs, as stored. */
  readonly entity: string
  /** @param keys an SQL expression, an array of keys as they are stored */
  select(keys: string): string
}

/** Rows that came along with a claim, and were read after it. */
export interface RowsRead {
  readonly reading: RowReading
  /** As the driver makes them. */
  readonly rows: readonly object[]
  /** By `performance.now()`. */
  readonly at: number
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
  /** What was read along with its claim: its row may be among it. */
  readonly read?: RowsRead
  /** Stores how far the job has come. */
  progress?(value: unknown): void
}

/** What the handler does with a job that was claimed. Delays are in ms from now, on the store's clock. */
export type Outcome =
  | { readonly state: 'completed' }
  /** Run again; the attempt is used. `attemptsLeft`: how many runs it may still have; absent where nobody knows. */
  | { readonly state: 'retried'; readonly delay: number; readonly error: unknown; readonly attemptsLeft?: number }
  /** Keep, with the error. */
  | { readonly state: 'failed'; readonly error: unknown }
  /** Do not run, keep the reason. */
  | { readonly state: 'discarded'; readonly reason: string }
  /** Give back; no attempt is used. `since`: keep it, and show it as `releasedSince` at the next claim. */
  | {
      readonly state: 'released'
      readonly delay: number
      readonly reason: string
      readonly since?: number
      readonly error?: unknown
    }

/** A handler whose jobs can be looked at and changed by hand. Every method rejects when the store cannot be reached. */
export interface Inspectable {
  /**
   * The jobs that fit every member of the query, at most `limit`; with an empty query, any.
   * @throws InvalidOptionError for an age that is no duration
   */
  find(query: JobQuery): Promise<readonly InspectedJob[]>
  /** How many jobs there are in each state, over all queues. */
  counts(): Promise<Readonly<Record<JobState, number>>>
  /** Makes failed or discarded jobs due again, with all their attempts; returns how many. Other ids are left alone. */
  retry(ids: readonly string[]): Promise<number>
  /** Removes jobs that are not running, for good; returns how many. Running ones and unknown ids are left alone. */
  discard(ids: readonly string[]): Promise<number>
  /** Keeps workers from claiming jobs of this queue, until `resume`; calls are still taken. */
  pause(queue: string): Promise<void>
  /** Undoes `pause`; for a queue that is not paused, does nothing. */
  resume(queue: string): Promise<void>
  /**
   * Removes jobs that completed, failed or were discarded before `query.before`, or those of one such state; returns
   * how many. Jobs that wait or run are left alone.
   * @throws InvalidOptionError for an invalid date
   */
  prune(query: { before: Date; state?: JobState }): Promise<number>
}

export type JobState = 'waiting' | 'running' | 'completed' | 'failed' | 'discarded'

/** Which jobs to find; what is left out does not matter. */
export interface JobQuery {
  readonly queue?: string
  /** The entity's name in stored jobs. */
  readonly entity?: string
  /** The whole key, by property path: `{ id: 5 }`. */
  readonly key?: Readonly<Record<string, unknown>>
  /** The method's name in stored jobs. */
  readonly method?: string
  readonly state?: JobState
  /** Enqueued longer ago than this: ms or '5m'. */
  readonly olderThan?: Duration
  /** Enqueued no longer ago than this: ms or '5m'. */
  readonly newerThan?: Duration
  /** Default 100. */
  readonly limit?: number
}

/** A job as it is in the store. */
export interface InspectedJob {
  readonly id: string
  readonly state: JobState
  readonly envelope: JobEnvelope
  /** How often it has been claimed. */
  readonly attempt: number
  /** Of the last failed attempt, or why it was discarded or released. */
  readonly error?: string
}
