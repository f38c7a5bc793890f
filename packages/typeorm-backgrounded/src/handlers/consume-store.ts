import { consoleLogger, type Logger } from '../logger'
import { guarded } from '../reporting/guarded-logger'
import { sleep } from '../pause'
import type { ClaimedJob, Consumption, ConsumeOptions, Execute, Outcome } from './handler'
import { StoreConsumption, type Exchanged, type FinishedJob } from './store-consumption'

/** A store of jobs of your own, as `consumeStore` needs it. */
export interface SimpleStore<Job extends ClaimedJob = ClaimedJob> {
  /**
   * Gives up to `slots` due jobs to this worker, each with its attempt counted, so that nobody else gets them.
   * @param queue absent: of any queue
   */
  claim(slots: number, queue?: string): readonly Job[] | Promise<readonly Job[]>
  /**
   * Stores what became of a claimed job; `false`: it is not this worker's any more.
   * @param job as claimed, with the `attempt` and `releasedSince` to keep it with where it goes back
   */
  apply(job: Job, outcome: Outcome): boolean | void | Promise<boolean | void>
  /** Resolves when there may be something due, or `signal` aborts; default: after the worker's poll interval. */
  wait?(signal: AbortSignal): Promise<void>
  /** Called when the worker has ended. */
  close?(): void | Promise<void>
}

/**
 * The worker's loop for a handler of your own: claims free slots only, starts what was claimed at once, applies
 * each outcome, tries again while the store cannot be reached, and stops in time.
 *
 * @param options what `consume` was given
 * @example
 * consume(options: ConsumeOptions, execute: Execute) {
 *   return consumeStore(this, options, execute)
 * }
 */
export function consumeStore<Job extends ClaimedJob>(
  store: SimpleStore<Job>,
  options: ConsumeOptions,
  execute: Execute,
  logger: Logger = consoleLogger,
): Consumption {
  /** As the store gave them: what a method does to its arguments must not be stored. */
  const originals = new WeakMap<ClaimedJob, Job>()
  /** An exchange that failed is repeated, but not what it had done. */
  const answers = new WeakMap<ClaimedJob, boolean>()

  async function apply({ job, outcome }: FinishedJob): Promise<void> {
    if (answers.has(job)) return
    answers.set(job, (await store.apply(toBeKept(originals.get(job) as Job, outcome), outcome)) !== false)
  }

  function handOut(job: Job): ClaimedJob {
    const handedOut = { ...job, envelope: structuredClone(job.envelope) }
    originals.set(handedOut, job)
    return handedOut
  }

  async function claim(slots: number): Promise<ClaimedJob[]> {
    const claimed: ClaimedJob[] = []
    for (const queue of options.queues === '*' ? [undefined] : options.queues) {
      if (claimed.length >= slots) break
      try {
        claimed.push(...(await store.claim(slots - claimed.length, queue)).map(handOut))
      } catch (error) {
        // What is claimed already must run; the next claim will say it again.
        if (claimed.length === 0) throw error
        break
      }
    }
    return claimed
  }

  async function exchange(finished: readonly FinishedJob[], slots: number): Promise<Exchanged> {
    const applied = await Promise.allSettled(finished.map(apply))
    for (const each of applied) if (each.status === 'rejected') throw each.reason
    const lost = new Set(finished.map(({ job }) => job).filter((job) => answers.get(job) === false))
    return { lost, claimed: await claim(slots) }
  }

  const wait = (signal: AbortSignal) => store.wait?.(signal) ?? sleep(options.pollInterval, signal)
  const close = () => store.close?.()
  return new StoreConsumption({ exchange, wait, close }, options, execute, guarded(logger))
}

/** A job that is released has used no attempt. */
function toBeKept<Job extends ClaimedJob>(job: Job, outcome: Outcome): Job {
  if (outcome.state === 'released') return { ...job, attempt: job.attempt - 1, releasedSince: outcome.since }
  return { ...job, releasedSince: undefined }
}
