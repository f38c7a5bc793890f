import type { DataSource, EntitySchema, MixedList, QueryRunner } from 'typeorm'
import type { JobEnvelope } from '../../job/envelope'
import type { Logger } from '../../logger'

/**
 * Where jobs are kept. A handler is a translation: it takes envelopes, never entities, and decides nothing
 * about a job by itself.
 */
export interface Handler {
  /** For logs and messages, as `'database'`. */
  readonly name: string
  /**
   * Where its jobs are kept, as `'bull:shop'`; default its name. A job in the outbox names it, and only processes whose
   * handler has the same destination push the job. It must stay the same over deploys, and hold no secrets.
   */
  readonly destination?: string
  readonly capabilities: HandlerCapabilities
  /** Called when the data source is initialised. May throw to refuse it. */
  attach?(host: HandlerHost): void
  /**
   * Entities for the tables that it needs in the user's data source; the same ones at each call.
   * @param driver the data source's `type`
   * @param dataSource for its naming strategy; its metadata are not built yet
   */
  entities?(driver: string, dataSource: DataSource): EntityTargets
  /**
   * Stores jobs, all in one go where it can; one result per job, in order. A rejection means that none was stored.
   * @param transaction the caller's open transaction; given only where `capabilities.transactional`
   */
  enqueue(jobs: readonly JobEnvelope[], transaction?: QueryRunner): Promise<readonly EnqueueResult[]>
  /** Called when jobs that it stored within a caller's transaction are committed, so that workers may be notified. */
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
}

/** What a handler can do, as data: read before every enqueue, and by the conformance suite. */
export interface HandlerCapabilities {
  /** Writes jobs inside the caller's transaction when given its query runner. */
  readonly transactional: boolean
  /** Concurrent calls are worth sending as one `enqueue`; otherwise each call is sent by itself, at once. */
  readonly batches: boolean
  /** Which options of a job it honours; the others are refused at the call. */
  readonly honours: { readonly delay: boolean; readonly priority: boolean; readonly keepCompleted: boolean }
  /** `'worker'`: it is `Consumable`. `'inline'`: it runs jobs inside `enqueue`. `'never'`: it runs none. */
  readonly consumes: 'worker' | 'inline' | 'never'
  /** It is `Inspectable`. */
  readonly inspects: boolean
  /**
   * Its jobs live and die with this process, as those of a test double do, so that an outbox could not save them. Default
   * false.
   */
  readonly inProcess?: boolean
}

/** What became of one job of an `enqueue`. */
export type EnqueueResult =
  | {
      readonly state: 'enqueued' | 'duplicate' | 'performed' | 'deferred'
      /** For `'deferred'`: settles when the store has the job, or has refused it. */
      readonly delivered?: Promise<void>
    }
  | { readonly state: 'failed'; readonly error: unknown }
