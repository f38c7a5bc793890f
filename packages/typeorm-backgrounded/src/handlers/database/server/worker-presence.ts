import { sleep } from '../../../concurrency/sleep'
import { StoreUnavailableError } from '../../../errors'
import type { Heartbeat } from '../../heartbeat/heartbeat'
import type { Contact } from '../../consumption/contact'
import type { LeasedJobs } from './leased-jobs'
import type { UnknownAnswers } from './unknown-answers'

/** How long the first beat may take, in ms: a thread and its own connection must be started first. */
const BEATS_WITHIN = 15_000

/** This worker's row in the table of workers, and the heartbeat that keeps it fresh. */
export class WorkerPresence {
  private heartbeat: Heartbeat | undefined

  constructor(
    private readonly jobs: LeasedJobs,
    private readonly contact: Contact,
    private readonly unknown: UnknownAnswers,
    private readonly startHeartbeat: (onGap: () => void) => Heartbeat,
  ) {}

  get isEntered(): boolean {
    return this.heartbeat !== undefined
  }

  /**
   * Adds this worker to the table of workers. Without a row there, its claims would look like those of a dead worker.
   * @param checksTables whether the tables are checked before the first entry
   * @returns whether this was the first entry
   */
  async enter(checksTables: boolean): Promise<boolean> {
    if (this.heartbeat && !this.contact.isLost) return false
    if (!this.heartbeat && checksTables) await this.jobs.check()
    const wasListed = await this.jobs.beat()
    this.contact.madeAt(performance.now())
    if (this.heartbeat) {
      if (!wasListed) this.unknown.add()
      return false
    }
    this.heartbeat = this.startHeartbeat(() => this.unknown.add())
    return true
  }

  async untilFirstBeat(): Promise<void> {
    const over = new AbortController()
    const late = sleep(BEATS_WITHIN, over.signal).then(() => 'late' as const)
    const first = await Promise.race([this.heartbeat?.firstBeat, late]).finally(() => over.abort())
    if (first === 'late') throw new StoreUnavailableError("The worker's heartbeat has not reached the database yet.")
  }

  /** For the message about a process that hangs. */
  isRunning(names: readonly string[]): void {
    this.heartbeat?.isRunning(names)
  }

  async stopHeartbeat(): Promise<void> {
    await this.heartbeat?.stop()
  }
}
