import { withResolver } from '../../concurrency/sleep'

/** Made once, because the default reason of an abort is a new error with a stack each time. */
const WOKEN = new Error('woken')

/** Lets the consumption loop wait until a job ends, the store has news, or a stop begins. */
export class Changes {
  private idle: AbortController | undefined
  /** Made only while something waits for it. */
  private next: ReturnType<typeof withResolver> | undefined

  changed(): void {
    this.idle?.abort(WOKEN)
    this.next?.resolve()
    this.next = undefined
  }

  untilNext(): Promise<void> {
    return (this.next ??= withResolver()).promise
  }

  /** Begins an idle time or a pause. The signal aborts at the next change. */
  beginIdle(): AbortSignal {
    this.idle = new AbortController()
    return this.idle.signal
  }

  endIdle(): void {
    this.idle = undefined
  }
}
