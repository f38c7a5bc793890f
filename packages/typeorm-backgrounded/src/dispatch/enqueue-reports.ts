import { EnqueueError, isBackgroundedError } from '../errors'
import type { BackgroundedEvents } from '../events'
import type { JobEnvelope } from '../job/envelope'
import type { Logger } from '../logger'
import { errorMessage } from '../reporting/safe-error'
import { summaryOf } from './job-receipt'

/** Says what became of calls: as events, and in the log where no caller hears of it. */
export class EnqueueReports {
  constructor(
    private readonly events: BackgroundedEvents,
    private readonly logger: Logger,
  ) {}

  enqueued(envelope: JobEnvelope): void {
    this.events.emit('enqueued', { job: summaryOf(envelope) })
  }

  failed(envelope: JobEnvelope, error: unknown): void {
    this.events.emit('enqueueFailed', { job: summaryOf(envelope), error })
  }

  logFailure(envelope: JobEnvelope, error: unknown, message: string): void {
    this.logger.error({ err: error, job: summaryOf(envelope) }, message)
  }

  /** Logs the reason with which the commit rejects, for applications that ignore the rejection. */
  refused(envelope: JobEnvelope, error: unknown): void {
    this.failed(envelope, error)
    this.logFailure(envelope, error, 'a job could not be stored in its transaction, which is rolled back')
  }

  dropped(jobs: readonly JobEnvelope[], why: string): void {
    if (jobs.length > 0) this.logger.warn({ jobs: jobs.map(summaryOf) }, why)
  }

  late(jobs: readonly JobEnvelope[]): void {
    this.logger.error(
      { jobs: jobs.map(summaryOf) },
      'a COMMIT has passed by these jobs, so that they are stored only now: something other than TypeORM sends it, please report what',
    )
  }
}

/** The error with which a call rejects. */
export function enqueueErrorFor({ entity, method }: JobEnvelope, error: unknown): unknown {
  if (isBackgroundedError(error)) return error
  return new EnqueueError(`${entity}.${method} could not be enqueued: ${errorMessage(error)}`, { cause: error })
}
