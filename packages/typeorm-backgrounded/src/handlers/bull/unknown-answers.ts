import type { Commands } from './commands'

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

  /** @param breaks as they were before the jobs were listed */
  resolve(breaks: number): void {
    this.seenBreaks = breaks
    this.hasGap = false
  }
}
