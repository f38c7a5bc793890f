import { LONGEST_TIMER } from '../../concurrency/sleep'
import type { Logger } from '../../logger'
import type { Contact } from '../consumption/contact'
import type { Commands } from './commands'
import type { InFlightRecords } from './in-flight-records'
import { reapAndPrune, type ReapRequest } from './scripts/reap-and-prune'

export interface ReaperParts {
  readonly commands: Commands
  readonly inFlight: InFlightRecords
  readonly contact: Contact
  readonly logger: Logger
  readonly request: () => ReapRequest
  /** ms */
  readonly every: number
  /** ms */
  readonly lease: number
  /** Called after each search for dead workers, with how many jobs were taken over. */
  readonly onReaped: (taken: number) => void
}

/** Every few seconds: takes over the jobs of dead workers, removes old jobs, and notices lost contact with Redis. */
export class Reaper {
  private readonly timer: NodeJS.Timeout
  private isReaping = false

  constructor(private readonly parts: ReaperParts) {
    this.timer = setInterval(() => void this.reapAndPrune(), Math.min(parts.every, LONGEST_TIMER))
    void this.reapAndPrune()
  }

  close(): void {
    clearInterval(this.timer)
  }

  private async reapAndPrune(): Promise<void> {
    const { commands, inFlight, contact, logger, request, lease, onReaped } = this.parts
    if (this.isReaping) return
    this.isReaping = true
    const start = performance.now()
    try {
      // Redis must decide within a short time, because this worker must still be alive when the answer arrives.
      const taken = await commands.run(reapAndPrune, [JSON.stringify(request())], lease / 4)
      contact.madeAt(start)
      inFlight.add(taken)
      onReaped(taken.length)
    } catch (error) {
      logger.debug({ err: error }, 'Redis did not answer the search for dead workers')
      if (contact.isLost) inFlight.loseAllLeases()
    } finally {
      this.isReaping = false
    }
  }
}
