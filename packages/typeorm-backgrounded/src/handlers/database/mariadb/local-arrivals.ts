import type { Arrival, Arrivals } from '../server/arrivals'

/** Jobs of this process, which its own workers need not look for. */
export class LocalArrivals {
  private readonly listeners = new Set<(job?: Arrival) => void>()

  tell(jobs: readonly Arrival[]): void {
    for (const job of jobs) for (const arrived of this.listeners) arrived(job)
  }

  /** Any job of any queue may be due now. */
  tellAny(): void {
    for (const arrived of this.listeners) arrived()
  }

  /** For one worker. */
  open(): Arrivals {
    let listener: ((job?: Arrival) => void) | undefined
    return {
      isListening: false,
      onArrival: (arrived) => this.listeners.add((listener = arrived)),
      close: () => {
        if (listener) this.listeners.delete(listener)
        return Promise.resolve()
      },
    }
  }
}
