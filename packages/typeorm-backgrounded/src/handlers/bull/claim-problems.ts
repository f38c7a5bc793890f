import type { Logger } from '../../logger'
import type { AcknowledgeAndClaimReply } from './scripts/acknowledge-and-claim'

const LOG_EVERY = 30_000

/** Logs why jobs of some queues cannot be claimed, but not with every claim. */
export class ClaimProblems {
  private loggedAt = -Infinity

  constructor(private readonly logger: Logger) {}

  log(problems: AcknowledgeAndClaimReply['problems']): void {
    if (problems.length === 0 || performance.now() - this.loggedAt < LOG_EVERY) return
    this.loggedAt = performance.now()
    this.logger.error({ problems }, 'jobs of some queues cannot be claimed')
  }
}
