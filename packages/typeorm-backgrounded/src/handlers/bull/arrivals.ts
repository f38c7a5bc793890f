import type { Logger } from '../../logger'
import type { Connection } from './connections'

const BURST = 100

/**
 * Hears of new jobs through what Bull and this library publish for each: only while a worker is idle, since a
 * message for every job of a burst would cost more than looking.
 */
export class Arrivals {
  private connection: Connection | undefined
  private isListening = false
  private heard = 0
  private ring = () => {}

  constructor(
    private readonly open: () => Connection,
    /** Before every key, and so before every channel: `<prefix>:<source>:`. */
    private readonly base: string,
    /** Called with the queue of what was heard of. */
    private readonly onQueue: (queue: string) => void,
    private readonly logger: Logger,
  ) {}

  /** Resolves when there may be something new, at once when nobody has been listening until now. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.isListening) {
      // What came in before the subscription is found by looking once more.
      if (await this.listen(signal)) return
    } else if (this.heard > 0) {
      this.heard = 0
      return
    }
    await new Promise<void>((resolve) => {
      this.ring = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
    })
    this.ring = () => {}
    this.heard = 0
  }

  private get patterns(): string[] {
    return ['waiting@*', 'delayed'].map((event) => `${literal(this.base)}*:${event}`)
  }

  close(): void {
    this.isListening = false
    this.connection?.disconnect()
    this.connection = undefined
  }

  private async listen(signal: AbortSignal): Promise<boolean> {
    if (!this.connection) {
      this.connection = this.open()
      this.connection.on('pmessage', (_: string, channel: string) => {
        this.onQueue(channel.slice(this.base.length, channel.lastIndexOf(':')))
        this.arrived()
      })
      this.connection.on('close', () => this.arrived()) // messages may have been missed
    }
    this.isListening = true
    this.heard = 0
    const subscribed = this.connection.psubscribe(...this.patterns).then(
      () => true,
      (error: unknown) => {
        this.isListening = false
        this.logger.debug({ err: error }, 'new jobs are found by polling: Redis takes no subscription')
        return false
      },
    )
    const aborted = new Promise<boolean>((resolve) =>
      signal.addEventListener('abort', () => resolve(true), { once: true }),
    )
    return Promise.race([subscribed, aborted])
  }

  private arrived(): void {
    this.ring()
    if (++this.heard < BURST || !this.isListening) return
    this.isListening = false
    this.connection?.punsubscribe(...this.patterns).catch(() => {})
  }
}

/** Without what Redis takes for a wildcard. */
function literal(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
