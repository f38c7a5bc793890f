import type { ClaimedJob, Consumable, Consumption, ConsumeOptions, Execute } from '../handlers/contract/consumable'
import type { EnqueueResult, Handler, HandlerCapabilities } from '../handlers/contract/handler'
import type { Outcome } from '../handlers/contract/outcome'
import { errorText } from '../reporting/error-text'
import type { AcknowledgedAndClaimed, FinishedJob, JobStore } from '../handlers/consumption/job-store'
import { StoreConsumption } from '../handlers/consumption/store-consumption'
import { dueTime, type JobEnvelope } from '../job/envelope'
import { checkFunction } from '../job/known-options'
import { consoleLogger } from '../logger'
import { sleep } from '../concurrency/sleep'

/** A job in the fake's memory. */
interface WaitingJob {
  readonly envelope: JobEnvelope
  dueAt: number
  attempt: number
  releasedSince?: number
}

/** A job that failed for good or was discarded, with the reason. */
export interface EndedJob {
  readonly envelope: JobEnvelope
  readonly state: 'failed' | 'discarded'
  readonly error: string
}

/**
 * Keeps jobs in memory. `jobs` shows what was enqueued, and `drain(dataSource)` runs what is due. It follows transactions
 * like a handler outside the database.
 */
export class FakeHandler implements Handler, Consumable {
  readonly name = 'fake'
  readonly capabilities: HandlerCapabilities = {
    transactional: false,
    batches: false,
    honours: { delay: true, priority: true, keepCompleted: false },
    consumes: 'worker',
    inspects: false,
    inProcess: true,
  }
  /** Everything that was enqueued since the start or `clear()`, in order, whether it has run or not. */
  readonly jobs: JobEnvelope[] = []
  /** The jobs that failed for good or were discarded, in order. */
  readonly ended: EndedJob[] = []
  private waiting: WaitingJob[] = []

  /** @param now a clock in ms since the epoch, which decides when jobs are due; move it to make delayed jobs due */
  constructor(private readonly now: () => number = Date.now) {
    checkFunction(now, 'FakeHandler: its clock')
  }

  /** Forgets all jobs. */
  clear(): void {
    this.jobs.length = 0
    this.ended.length = 0
    this.waiting = []
  }

  enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const results = jobs.map((job): EnqueueResult => {
      if (this.jobs.some(({ id }) => id === job.id)) return { state: 'duplicate' }
      // Through JSON and back, so that a test sees what a worker would read.
      const envelope = JSON.parse(JSON.stringify(job)) as JobEnvelope
      this.jobs.push(envelope)
      this.waiting.push({ envelope, dueAt: dueTime(envelope, this.now()), attempt: 0 })
      return { state: 'enqueued' }
    })
    return Promise.resolve(results)
  }

  consume(options: ConsumeOptions, execute: Execute): Consumption {
    const store: JobStore = {
      acknowledgeAndClaim: (finished, slots) => this.acknowledgeAndClaim(finished, slots, options.queues),
      wait: (signal) => sleep(Math.min(options.pollInterval, 10), signal),
      close: () => {},
    }
    return new StoreConsumption(store, options, execute, consoleLogger)
  }

  private readonly claims = new WeakMap<ClaimedJob, WaitingJob>()

  private acknowledgeAndClaim(
    finished: readonly FinishedJob[],
    slots: number,
    queues: readonly string[] | '*',
  ): Promise<AcknowledgedAndClaimed> {
    for (const { job, outcome } of finished) this.apply(outcome, this.claims.get(job) as WaitingJob)
    const due = this.due(queues).slice(0, slots)
    this.waiting = this.waiting.filter((job) => !due.includes(job))
    return Promise.resolve({ claimed: due.map((job) => this.claim(job)), leaseLost: new Set() })
  }

  private due(queues: readonly string[] | '*'): WaitingJob[] {
    const rank = ({ envelope: { queue } }: WaitingJob) => (queues === '*' ? 0 : queues.indexOf(queue))
    return this.waiting
      .filter((job) => job.dueAt <= this.now() && rank(job) >= 0)
      .sort((a, b) => rank(a) - rank(b) || a.envelope.priority - b.envelope.priority || a.dueAt - b.dueAt)
  }

  private claim(waiting: WaitingJob): ClaimedJob {
    const { envelope, releasedSince } = waiting
    const job: ClaimedJob = {
      id: envelope.id,
      queue: envelope.queue,
      envelope: JSON.parse(JSON.stringify(envelope)) as JobEnvelope,
      attempt: ++waiting.attempt,
      releasedSince,
    }
    this.claims.set(job, waiting)
    return job
  }

  private apply(outcome: Outcome, job: WaitingJob): void {
    switch (outcome.state) {
      case 'completed':
        return
      case 'failed':
        this.ended.push({ envelope: job.envelope, state: 'failed', error: errorText(outcome.error) })
        return
      case 'discarded':
        this.ended.push({ envelope: job.envelope, state: 'discarded', error: outcome.reason })
        return
      case 'retried':
        job.dueAt = this.now() + outcome.delay
        job.releasedSince = undefined
        break
      case 'released':
        job.dueAt = this.now() + outcome.delay
        job.attempt--
        job.releasedSince = outcome.since
        break
    }
    this.waiting.push(job)
  }
}
