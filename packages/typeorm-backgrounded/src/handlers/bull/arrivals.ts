import type { Logger } from '../../logger'
import { sleep } from '../../concurrency/sleep'
import type { Connection } from './connections'
import { withoutArguments } from './without-arguments'

const BURST = 100
/** Anybody may publish anything: the name of a queue is not longer than this. */
const LONGEST_NAME = 500
const OURS = ':waiting@backgrounded'

/**
 * Hears of new jobs through what Bull and this library publish for each: only while a worker is idle, since a
 * message for every job of a burst would cost more than looking.
 */
export class Arrivals {
  private connection: Connection | undefined
  private isListening = false
  private heard = 0
  private readonly queues = new Set<string>()
  private ring = () => {}

  constructor(
    private readonly open: () => Connection,
    /** Before every key, and so before every channel: `<prefix>:<source>:`. */
    private readonly base: string,
    /** Called with the queues that were heard of, at most a burst of them; answers whether there was a new one. */
    private readonly onQueues: (queues: readonly string[]) => Promise<boolean>,
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

  /** Where nobody answers any more, nothing would ever be heard. */
  async check(timeout: number, silent: () => void): Promise<void> {
    const { connection } = this
    if (connection?.status !== 'ready') return
    const answer = connection.ping().then(
      () => true,
      () => true, // it says itself what is wrong
    )
    const over = new AbortController()
    const isAnswered = await Promise.race([answer, sleep(timeout, over.signal).then(() => false)])
    over.abort()
    if (!isAnswered && connection === this.connection) silent()
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
        // What this library stores, it makes known itself.
        if (!channel.endsWith(OURS)) this.hear(channel.slice(this.base.length, channel.lastIndexOf(':')))
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
        this.logger.debug(
          { err: withoutArguments(error) },
          'new jobs are found by polling: Redis takes no subscription',
        )
        return false
      },
    )
    const aborted = new Promise<boolean>((resolve) =>
      signal.addEventListener('abort', () => resolve(true), { once: true }),
    )
    return Promise.race([subscribed, aborted])
  }

  /** Those of a burst are told of together. */
  private hear(queue: string): void {
    if (queue === '' || queue.length > LONGEST_NAME || this.queues.size >= BURST) return
    this.queues.add(queue)
    if (this.queues.size > 1) return
    setImmediate(() => {
      const queues = [...this.queues]
      this.queues.clear()
      void this.onQueues(queues).then((isNew) => isNew && this.arrived())
    })
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
