/** What tells a worker that there may be something due. */
export interface Arrivals {
  /** News come by themselves just now: looking around is a mere precaution. */
  readonly isListening: boolean
  /** Calls `arrived` for every job that may have come; without an argument: however many, of whatever kind. */
  onArrival(arrived: (job?: Arrival) => void): void
  close(): Promise<void>
}

export interface Arrival {
  readonly queue: string
  readonly priority: number
}
