/** Notifies a worker of new jobs. */
export interface Arrivals {
  /** True while notifications arrive, so that polling is only a precaution. */
  readonly isListening: boolean
  /** Calls `arrived` with each new job, or without an argument when any number of jobs may have come, in any queue. */
  onArrival(arrived: (job?: Arrival) => void): void
  close(): Promise<void>
}

export interface Arrival {
  readonly queue: string
  readonly priority: number
}
