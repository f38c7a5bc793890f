import type { Commands } from './commands'
import type { InFlightRecords } from './in-flight-records'
import type { ClaimedRecord } from './scripts/claimed'

/**
 * Whether the jobs in flight here may differ from those that Redis has as claimed by this worker, because an answer has
 * not arrived, or because other workers may have taken this one for dead.
 */
export class UnknownAnswers {
  private seenBreaks: number
  private hasGap = false

  constructor(private readonly commands: Commands) {
    this.seenBreaks = commands.breaks
  }

  get hasAny(): boolean {
    return this.hasGap || this.seenBreaks !== this.commands.breaks
  }

  /** Other workers may have taken this one for dead. */
  hadGap(): void {
    this.hasGap = true
  }

  /** Compares the jobs in flight with those that Redis lists as claimed by this worker. */
  async resolve(list: () => Promise<readonly ClaimedRecord[]>, inFlight: InFlightRecords): Promise<void> {
    const { breaks } = this.commands // as they were before the jobs were listed
    const stored = await list()
    this.seenBreaks = breaks
    this.hasGap = false
    inFlight.reconcileWith(stored)
  }
}
