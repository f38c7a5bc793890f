import type { ClaimedJob } from '../contract/consumable'
import type { FinishedJob } from './job-store'

/** Outcomes of jobs that have ended, which go to the store with the next claim. */
export class UnsentOutcomes<Job extends ClaimedJob> {
  private unsent: FinishedJob<Job>[] = []
  /** Released jobs of a drain, which stay claimed until the end so that the drain does not claim them again. */
  private heldBack: FinishedJob<Job>[] = []

  constructor(private readonly isDrain: boolean) {}

  get isEmpty(): boolean {
    return this.unsent.length === 0
  }

  add(finished: FinishedJob<Job>): void {
    const isHeldBack = this.isDrain && finished.outcome.state === 'released'
    ;(isHeldBack ? this.heldBack : this.unsent).push(finished)
  }

  take(): FinishedJob<Job>[] {
    const taken = this.unsent
    this.unsent = []
    return taken
  }

  takeHeldBack(): FinishedJob<Job>[] {
    const taken = this.heldBack
    this.heldBack = []
    return taken
  }

  /** Sends outcomes again, because it is unknown whether the store has them. */
  sendAgain(sent: readonly FinishedJob<Job>[]): void {
    this.unsent = [...sent.map((each) => ({ ...each, isRepeated: true })), ...this.unsent]
  }
}
