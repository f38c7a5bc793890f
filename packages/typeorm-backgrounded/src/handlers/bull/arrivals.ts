import type { Logger } from '../../logger'
import { sleep } from '../../concurrency/sleep'
import type { Connection } from './connections'
import { withoutArguments } from './without-arguments'

const BURST = 100
/** The longest name of a queue that is accepted from a message, because anyone may publish anything. */
const LONGEST_NAME = 500
const OURS = ':waiting@backgrounded'

/**
 * Receives what Bull and this library publish for each new job. It listens only while a worker is idle, because a message
 * for every job of a burst would cost more than polling.
 */
export class Arrivals {
  private connection: Connection | undefined
  private isListening = false
  private messages = 0
  private readonly queues = new Set<string>()
  private ring = () => {}

  constructor(
    private readonly open: () => Connection,
    /** Begins every key, and so every channel: `<prefix>:<source>:`. */
    private readonly base: string,
    /** Called with the queues in the messages of a burst. Resolves with whether one of them was new. */
    private readonly onQueues: (queues: readonly string[]) => Promise<boolean>,
    private readonly logger: Logger,
  ) {}

  /** Resolves when there may be a new job; at once when this worker has not been listening until now. */
  async next(signal: AbortSignal): Promise<void> {
    if (!this.isListening) {
      // Jobs that came before the subscription are found by one more claim.
      if (await this.listen(signal)) return
    } else if (this.messages > 0) {
      this.messages = 0
      return
    }
    await new Promise<void>((resolve) => {
      this.ring = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
      if (signal.aborted) resolve()
    })
    this.ring = () => {}
    this.messages = 0
  }

  private get patterns(): string[] {
    return ['waiting@*', 'delayed'].map((event) => `${literal(this.base)}*:${event}`)
  }

  /** Calls `silent` when the connection does not answer, because no message would arrive on it any more. */
  async check(timeout: number, silent: () => void): Promise<void> {
    const { connection } = this
    if (connection?.status !== 'ready') return
    const answer = connection.ping().then(
      () => true,
      () => true, // an error is an answer
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
        // Queues of jobs that this library stores are registered when they are stored.
        if (!channel.endsWith(OURS)) this.collect(channel.slice(this.base.length, channel.lastIndexOf(':')))
        this.arrived()
      })
      this.connection.on('close', () => this.arrived()) // messages may have been missed
    }
    this.isListening = true
    this.messages = 0
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

  /** Passes on the queues of a burst together. */
  private collect(queue: string): void {
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
    if (++this.messages < BURST || !this.isListening) return
    this.isListening = false
    this.connection?.punsubscribe(...this.patterns).catch(() => {})
  }
}

/** Escapes what Redis takes for a wildcard. */
function literal(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
