import type { Arrival, Arrivals } from '../server/arrivals'

/** Notifies the workers of this process of jobs that this process has stored. */
export class LocalArrivals {
  private readonly listeners = new Set<(job?: Arrival) => void>()

  notify(jobs: readonly Arrival[]): void {
    for (const job of jobs) for (const arrived of this.listeners) arrived(job)
  }

  /** Any job of any queue may be due now. */
  notifyAny(): void {
    for (const arrived of this.listeners) arrived()
  }

  /** The notifications for one worker. */
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
