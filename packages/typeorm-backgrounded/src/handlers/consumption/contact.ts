/** When this worker was last in touch with its store, by `performance.now()`. */
export class Contact {
  private last = performance.now()

  constructor(
    /** ms */
    private readonly lease: number,
  ) {}

  /** @param time when a statement was sent that the store has answered */
  madeAt(time: number): void {
    this.last = time
  }

  /** True when other workers may have taken over the jobs of this one, because it was silent for longer than its lease. */
  get isLost(): boolean {
    return performance.now() - this.last > this.lease
  }
}
