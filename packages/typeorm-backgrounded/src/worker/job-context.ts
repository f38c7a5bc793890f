import { AsyncLocalStorage } from 'node:async_hooks'
import type { EntityManager } from 'typeorm'
import { NoCurrentJobError } from '../errors'
import type { EventChain } from '../job/event-chain'
import type { Logger } from '../logger'
import { shared } from '../metadata/registry'

/** The job that runs here, as its method sees it. */
export interface CurrentJob {
  readonly id: string
  readonly entity: string
  /** Primary columns by property path; absent for a static method. */
  readonly key?: Readonly<Record<string, unknown>>
  readonly method: string
  readonly queue: string
  /** 1 for the first run. */
  readonly attempt: number
  readonly attempts: number
  readonly enqueuedAt: Date
  readonly manager: EntityManager
  /** Aborts when the worker stops or has lost its lease on the job; `reason` says which. */
  readonly signal: AbortSignal
  /**
   * Stores how far the job has come, if the handler keeps progress: the latest value, as JSON. It may be called often.
   * @throws InvalidOptionError for what JSON cannot show
   */
  progress(value: unknown): void
  /** Logs with the job's id, entity and method. */
  readonly log: Logger
}

/** The key under which a running job has the chain of after-commit events that led to it, itself included. */
export const EVENT_CHAIN = Symbol.for('typeorm-backgrounded/event-chain')

const storage = shared('job-context', () => new AsyncLocalStorage<CurrentJob | undefined>())

/** @throws NoCurrentJobError outside a job */
export function currentJob(): CurrentJob {
  const job = storage.getStore()
  if (!job) throw new NoCurrentJobError()
  return job
}

/** The running job, or undefined outside a job. */
export function currentJobOrUndefined(): CurrentJob | undefined {
  return storage.getStore()
}

/** The chain that an event in this job continues; nothing for a job that only pretends to be one. */
export function eventChainOf(job: CurrentJob): EventChain | undefined {
  return (job as { readonly [EVENT_CHAIN]?: EventChain })[EVENT_CHAIN]
}

/** Runs `work` as the method of `job`. */
export function runInJob<T>(job: CurrentJob, work: () => T): T {
  return storage.run(job, work)
}
