import { LONGEST_TIMER } from '../../concurrency/sleep'

/** How a worker tells its store that it lives. */
export interface Pulse {
  /** False: the store had taken the worker for dead. */
  beat(): Promise<boolean>
  close(): void | Promise<void>
}

/** Beats at intervals, one beat at a time. */
export class Heart {
  private readonly timer: NodeJS.Timeout
  private isBeating = false
  private hasBeaten = false

  constructor(
    private readonly pulse: Pulse,
    /** ms */
    every: number,
    private readonly onGap: () => void,
    /** The first one has arrived. */
    private readonly onFirst: () => void = () => {},
  ) {
    this.timer = setInterval(() => void this.beat(), Math.min(every, LONGEST_TIMER))
    void this.beat()
  }

  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.pulse.close()
  }

  private async beat(): Promise<void> {
    if (this.isBeating) return
    this.isBeating = true
    try {
      if (!(await this.pulse.beat())) this.onGap()
      if (!this.hasBeaten) this.onFirst()
      this.hasBeaten = true
    } catch {
      // The store is out of reach: the worker itself notices, and says so.
    } finally {
      this.isBeating = false
    }
  }
}
