import type { Logger } from '../logger'
import { sleep } from '../concurrency/sleep'

/** What a worker needs of an outbox. */
export interface Relay {
  /** @throws MissingTableError */
  check(): Promise<void>
  /** Pushes jobs that were left in the outbox. Resolves with false when the handler cannot be reached. */
  relay(): Promise<boolean>
}

/** In ms. */
const INTERVAL = 1_000
const MAX_RETRY_DELAY = 5_000

/** Relays at intervals the jobs that are left in the outbox after a process died or the handler was down. */
export class Relaying {
  private readonly stopping = new AbortController()
  private readonly loop: Promise<void>

  constructor(
    private readonly outbox: Relay,
    private readonly logger: Logger,
  ) {
    this.loop = this.run()
  }

  /** Resolves when no push is under way. */
  stop(): Promise<void> {
    this.stopping.abort()
    return this.loop
  }

  private async run(): Promise<void> {
    let delay = INTERVAL
    while (!this.stopping.signal.aborted) {
      delay = (await this.relay()) ? INTERVAL : Math.min(delay * 2, MAX_RETRY_DELAY)
      await sleep(delay, this.stopping.signal)
    }
  }

  private async relay(): Promise<boolean> {
    try {
      return await this.outbox.relay()
    } catch (error) {
      if (this.stopping.signal.aborted) return false // the outbox is closed
      this.logger.error({ err: error }, 'the outbox cannot be relayed')
      return false
    }
  }
}
