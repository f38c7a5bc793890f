import type { Logger } from '../../logger'
import { textOf } from '../../reporting/text-of'
import type { ClaimedJob, ConsumeOptions } from '../contract/consumable'
import type { Outcome } from '../contract/outcome'

/** Tells the application what became of its jobs. Errors of its listeners are only logged. */
export class Listeners {
  constructor(
    private readonly options: Pick<ConsumeOptions, 'applied' | 'leaseLost'>,
    private readonly logger: Logger,
  ) {}

  applied(job: ClaimedJob, outcome: Outcome): void {
    try {
      this.logRejection(this.options.applied(job, outcome))
    } catch (error) {
      this.logError(error)
    }
  }

  leaseLost(job: ClaimedJob): void {
    try {
      this.logRejection(this.options.leaseLost(job))
    } catch (error) {
      this.logError(error)
    }
  }

  private logRejection(result: unknown): void {
    if (result instanceof Promise) result.catch(this.logError)
  }

  private readonly logError = (error: unknown): void => {
    this.logger.error({ reason: textOf(error) }, 'a listener has thrown: the job itself is not affected')
  }
}
