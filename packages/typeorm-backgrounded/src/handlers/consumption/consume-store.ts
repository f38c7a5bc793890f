import { setImmediate as othersTurn } from 'node:timers/promises'
import { consoleLogger, type Logger } from '../../logger'
import { sleep } from '../../concurrency/sleep'
import { attempt, textOf } from '../../reporting/text-of'
import type { ClaimedJob, Consumption, ConsumeOptions, Execute } from '../contract/consumable'
import type { Outcome } from '../contract/outcome'
import type { AcknowledgedAndClaimed, FinishedJob } from './job-store'
import { StoreConsumption } from './store-consumption'

/** How long claims may follow each other without a turn of the event loop, in ms. */
const LONGEST_BLOCK = 5

/** A store of jobs of your own, as `consumeStore` needs it. */
export interface SimpleStore<Job extends ClaimedJob = ClaimedJob> {
  /**
   * Claims up to `slots` due jobs for this worker, so that no other worker gets them, and counts the attempt of each.
   * @param queue the queue to claim from; absent for any queue
   */
  claim(slots: number, queue?: string): readonly Job[] | Promise<readonly Job[]>
  /**
   * Stores what became of a claimed job. Returns `false` when another worker has the job now.
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
  /** Outcomes that the store has applied, so that they are not applied again when a failed step is repeated. */
  const answers = new WeakMap<ClaimedJob, boolean>()
  /** When the event loop was last given a turn, by `performance.now()`. */
  let lastTurn = performance.now()

  async function apply({ job, outcome }: FinishedJob): Promise<void> {
    if (answers.has(job)) return
    answers.set(job, (await store.apply(toBeKept(originals.get(job) as Job, outcome), outcome)) !== false)
  }

  function toClaimedJob(job: Job): ClaimedJob {
    const claimed = readable(job)
    originals.set(claimed, job)
    return claimed
  }

  /** @throws what kept the store from answering, or TypeError for an answer that is not a list of jobs */
  async function claimFrom(queue: string | undefined, slots: number): Promise<ClaimedJob[]> {
    const jobs: unknown = await store.claim(slots, queue)
    if (!Array.isArray(jobs)) throw new TypeError(`The store's claim gave ${textOf(jobs)} instead of an array of jobs.`)
    return jobs.filter(isJob).map((job) => toClaimedJob(job as Job))
  }

  function isJob(job: unknown): boolean {
    if (typeof job === 'object' && job !== null) return true
    report({ reason: `The store's claim gave ${textOf(job)} among the jobs.` }, 'a claimed job cannot be run')
    return false
  }

  function report(fields: object, message: string): void {
    attempt(() => logger.error(fields, message), undefined)
  }

  async function claim(slots: number): Promise<ClaimedJob[]> {
    const claimed: ClaimedJob[] = []
    for (const queue of options.queues === '*' ? [undefined] : options.queues) {
      if (claimed.length >= slots) break
      try {
        claimed.push(...(await claimFrom(queue, slots - claimed.length)))
      } catch (error) {
        // Jobs that are claimed already must run. The next claim will meet the same error.
        if (claimed.length === 0) throw error
        break
      }
    }
    return claimed
  }

  /** A store that answers at once, with jobs that end at once, must not keep timers and signals from their turn. */
  async function othersTurnIfDue(): Promise<void> {
    if (performance.now() - lastTurn < LONGEST_BLOCK) return
    await othersTurn()
    lastTurn = performance.now()
  }

  async function acknowledgeAndClaim(finished: readonly FinishedJob[], slots: number): Promise<AcknowledgedAndClaimed> {
    await othersTurnIfDue()
    const refused = new Map<ClaimedJob, unknown>()
    await Promise.all(finished.map((each) => apply(each).catch((error: unknown) => void refused.set(each.job, error))))
    // The store has taken no outcome, so it cannot be reached.
    if (finished.length > 0 && refused.size === finished.length && slots === 0) throw [...refused.values()][0]
    const claimed = slots > 0 ? await claim(slots) : []
    const leaseLost = new Set(finished.map(({ job }) => job).filter((job) => answers.get(job) === false))
    return { leaseLost, refused, claimed }
  }

  async function wait(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    const news = store.wait?.(signal)
    if (!isThenable(news)) return sleep(options.pollInterval, signal)
    await Promise.race([news, aborted])
    await othersTurn() // a store that never waits must not keep timers and connections from their turn
  }

  const close = () => store.close?.()
  return new StoreConsumption({ acknowledgeAndClaim, wait, close }, options, execute, logger)
}

/** Copies a job, which may hold anything. The executor reports what cannot be read. */
function readable(job: ClaimedJob): ClaimedJob {
  const fields = attempt(() => ({ ...job }), {} as Partial<ClaimedJob>)
  const { envelope, id, queue, attempt: number, signal } = fields
  return {
    ...fields,
    id: textOf(id),
    queue: typeof queue === 'string' ? queue : 'default',
    signal: attempt(() => signal instanceof AbortSignal, false) ? signal : undefined,
    attempt: typeof number === 'number' ? number : NaN,
    envelope: attempt(() => structuredClone(envelope), undefined),
  }
}

function isThenable(value: unknown): value is Promise<void> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** A job that is released has used no attempt. */
function toBeKept<Job extends ClaimedJob>(job: Job, outcome: Outcome): Job {
  return attempt(() => kept(job, outcome), job)
}

function kept<Job extends ClaimedJob>(job: Job, outcome: Outcome): Job {
  if (outcome.state === 'released') return { ...job, attempt: job.attempt - 1, releasedSince: outcome.since }
  return { ...job, releasedSince: undefined }
}
