import type { JobEnvelope } from '../job/envelope'
import { checkBoolean, checkKnown, namesOf } from '../job/known-options'
import type { ClaimedJob, Consumable, Consumption, ConsumeOptions, Execute } from './contract/consumable'
import type { EnqueueResult, Handler, HandlerCapabilities } from './contract/handler'
import type { Outcome } from './contract/outcome'

export interface SynchronousHandlerOptions {
  /** Run delayed calls at once instead of refusing them, default false. */
  readonly ignoreDelay?: boolean
}

const OPTIONS = namesOf<SynchronousHandlerOptions>({ ignoreDelay: true })

/**
 * Runs each job inside its call, through the same encoding, reload and checks as a worker: for tests and
 * scripts. The call rejects with the method's own error, and nothing is retried. Inside a transaction the job
 * runs after the commit; `settled(dataSource)` awaits it.
 */
export class SynchronousHandler implements Handler, Consumable {
  readonly name = 'synchronous'
  readonly capabilities: HandlerCapabilities
  private consumer?: { options: ConsumeOptions; execute: Execute }

  /** @throws InvalidOptionError */
  constructor(options: SynchronousHandlerOptions = {}) {
    checkKnown(options, OPTIONS, 'SynchronousHandler')
    checkBoolean(options.ignoreDelay, 'SynchronousHandler: ignoreDelay')
    const { ignoreDelay = false } = options
    this.capabilities = {
      transactional: false,
      batches: false,
      // Jobs run one at a time, in the order of the calls, so a priority makes no difference.
      honours: { delay: ignoreDelay, priority: true, keepCompleted: false },
      consumes: 'inline',
      inspects: false,
      inProcess: true,
    }
  }

  consume(options: ConsumeOptions, execute: Execute): Consumption {
    this.consumer = { options, execute }
    return { concurrency: 1, finished: new Promise(() => {}), stop: () => Promise.resolve() }
  }

  async enqueue(jobs: readonly JobEnvelope[]): Promise<EnqueueResult[]> {
    const results: EnqueueResult[] = []
    for (const job of jobs) results.push(await this.perform(job))
    return results
  }

  private async perform(envelope: JobEnvelope): Promise<EnqueueResult> {
    if (!this.consumer) throw new Error('SynchronousHandler runs jobs only while its data source is initialised.')
    const { options, execute } = this.consumer
    // Through JSON and back, so that the method gets what it would get from a worker.
    const job: ClaimedJob = {
      id: envelope.id,
      queue: envelope.queue,
      envelope: JSON.parse(JSON.stringify(envelope)),
      attempt: 1,
    }
    const outcome = withoutRetry(await execute(job))
    options.applied(job, outcome)
    return outcome.state === 'failed' ? outcome : { state: 'performed' }
  }
}

/** Turns an outcome that a worker would answer with another run into a failure, because there is no later run here. */
function withoutRetry(outcome: Outcome): Outcome {
  const isError = outcome.state === 'retried' || (outcome.state === 'released' && outcome.error !== undefined)
  return isError ? { state: 'failed', error: outcome.error } : outcome
}
