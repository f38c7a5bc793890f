import type { EntityManager } from 'typeorm'
import type { RunningJobSummary } from '../events'
import type { ClaimedJob } from '../handlers/contract/consumable'
import type { EventChain } from '../job/event-chain'
import { LazyAbort } from '../concurrency/lazy-abort'
import type { Logger } from '../logger'
import { childLogger } from '../reporting/guarded-logger'
import { EVENT_CHAIN, type CurrentJob } from './job-context'

interface RunningJobParts {
  readonly enqueuedAt: number
  readonly manager: EntityManager
  readonly logger: Logger
  /** Called by the few jobs whose events start other jobs. */
  readonly eventChain: () => EventChain
}

/** What a method sees of its job. Members that few methods use are made when they are used. */
export class RunningJob implements CurrentJob {
  readonly id: string
  readonly entity: string
  readonly key?: Readonly<Record<string, unknown>>
  readonly method: string
  readonly queue: string
  readonly attempt: number
  readonly attempts: number
  readonly manager: EntityManager
  readonly #job: ClaimedJob
  readonly #enqueuedAt: number
  readonly #logger: Logger
  readonly #eventChain: () => EventChain
  #log: Logger | undefined
  #never: LazyAbort | undefined

  constructor(
    job: ClaimedJob,
    summary: RunningJobSummary,
    { enqueuedAt, manager, logger, eventChain }: RunningJobParts,
  ) {
    this.id = summary.id
    this.entity = summary.entity
    this.key = summary.key
    this.method = summary.method
    this.queue = summary.queue
    this.attempt = summary.attempt
    this.attempts = summary.attempts
    this.manager = manager
    this.#job = job
    this.#enqueuedAt = enqueuedAt
    this.#logger = logger
    this.#eventChain = eventChain
  }

  get enqueuedAt(): Date {
    return new Date(this.#enqueuedAt)
  }

  get signal(): AbortSignal {
    return this.#job.signal ?? (this.#never ??= new LazyAbort()).signal
  }

  get [EVENT_CHAIN](): EventChain {
    return this.#eventChain()
  }

  get log(): Logger {
    const { id, entity, method } = this
    return (this.#log ??= childLogger(this.#logger, { job: id, entity, method }))
  }

  /** A bound function, because code may take it out of the job. */
  get progress(): (value: unknown) => void {
    return (value) => this.#job.progress?.(value)
  }
}
