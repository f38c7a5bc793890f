import { LONGEST_TIMER } from '../../concurrency/sleep'

/** How a worker shows its store that it is alive. */
export interface Pulse {
  /** Returns false when the store had taken the worker for dead, or did not know it. */
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
    /** In ms. */
    every: number,
    private readonly onGap: () => void,
    /** Called when the first beat has arrived. */
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
      // The store is out of reach, which the worker itself notices and logs.
    } finally {
      this.isBeating = false
    }
  }
}
