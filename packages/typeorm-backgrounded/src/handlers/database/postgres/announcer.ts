import type { Logger } from '../../../logger'
import { sleep } from '../../../pause'
import { announcement } from './notifications'
import type { JobEnvelope } from '../../../job/envelope'

/** ms */
const SPACING = 10

/**
 * Tells workers of jobs that have been committed: never within a caller's transaction, since all transactions that
 * notify commit one after the other, and one at a time for each level, since a worker that has heard one looks at all.
 */
export class Announcer {
  private readonly underWay = new Map<string, { again: boolean }>()

  constructor(
    private readonly notify: (payload: string) => Promise<unknown>,
    private readonly logger: Logger,
  ) {}

  announce(jobs: readonly Pick<JobEnvelope, 'queue' | 'priority'>[]): void {
    for (const payload of new Set(jobs.map(announcement))) void this.send(payload)
  }

  /** Any job of any queue may be due now. */
  announceAny(): void {
    void this.send('')
  }

  private async send(payload: string): Promise<void> {
    const sending = this.underWay.get(payload)
    if (sending) {
      sending.again = true
      return
    }
    const state = { again: true }
    this.underWay.set(payload, state)
    try {
      while (state.again) {
        state.again = false
        await this.notify(payload)
        // What comes meanwhile goes with the next: each is a commit of its own for the server.
        await sleep(SPACING)
      }
    } catch (error) {
      this.logger.debug({ err: error }, 'workers were not told of a new job: they find it when they look')
    } finally {
      this.underWay.delete(payload)
    }
  }
}
