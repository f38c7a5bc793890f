/** What the handler does with a job that was claimed. Delays are in ms from now, on the store's clock. */
export type Outcome =
  | { readonly state: 'completed' }
  /** Run again; the attempt is used. `attemptsLeft`: how many runs it may still have; absent when that is unknown. */
  | { readonly state: 'retried'; readonly delay: number; readonly error: unknown; readonly attemptsLeft?: number }
  /** Keep, with the error. */
  | { readonly state: 'failed'; readonly error: unknown }
  /** Do not run, keep the reason. */
  | { readonly state: 'discarded'; readonly reason: string }
  /** Give back; no attempt is used. `since`: keep it, and show it as `releasedSince` at the next claim. */
  | {
      readonly state: 'released'
      readonly delay: number
      readonly reason: string
      readonly since?: number
      readonly error?: unknown
    }
