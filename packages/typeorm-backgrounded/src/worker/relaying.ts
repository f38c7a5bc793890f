import type { Logger } from '../logger'
import { sleep } from '../concurrency/sleep'

/** What a worker needs of an outbox. */
export interface Relay {
  /** @throws MissingTableError */
  check(): Promise<void>
  /** Pushes jobs that were left in the outbox. Resolves with false when the handler cannot be reached. */
  relay(): Promise<boolean>
}

const EVERY = 1_000
const LONGEST_PAUSE = 5_000

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
    let pause = EVERY
    while (!this.stopping.signal.aborted) {
      pause = (await this.relay()) ? EVERY : Math.min(pause * 2, LONGEST_PAUSE)
      await sleep(pause, this.stopping.signal)
    }
  }

  private async relay(): Promise<boolean> {
    try {
      return await this.outbox.relay()
    } catch (error) {
      this.logger.error({ err: error }, 'the outbox cannot be relayed')
      return false
    }
  }
}
