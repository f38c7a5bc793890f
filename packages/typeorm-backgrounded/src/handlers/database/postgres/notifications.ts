import type { Logger } from '../../../logger'
import { sleep } from '../../../concurrency/sleep'
import type { Arrival, Arrivals } from '../server/arrivals'
import type { PostgresConnection } from '../../../database/postgres/connection'
import type { PostgresClient } from '../../../upstream/pg'

const MAX_RETRY_DELAY = 5_000
const CONNECT_WITHIN = 10_000

/** What producers say with NOTIFY, heard on the worker's own connection. */
export class Notifications implements Arrivals {
  isListening = false
  private isHealing = false
  private readonly end = new AbortController()
  private arrived: (job?: Arrival) => void = () => {}

  constructor(
    private readonly channel: string,
    private readonly logger: Logger,
  ) {}

  onArrival(arrived: (job?: Arrival) => void): void {
    this.arrived = arrived
  }

  /** For every new connection. */
  async listenOn(client: PostgresClient): Promise<void> {
    client.on('notification', ({ payload }: { payload?: string }) => this.arrived(arrivalOf(payload)))
    await client.query({ text: `LISTEN "${this.channel}"` })
    this.isListening = true
    this.arrived() // before that, nobody was listening
  }

  /** The connection is gone: whoever is idle would not notice. */
  async heal(connection: PostgresConnection): Promise<void> {
    this.isListening = false
    if (this.isHealing) return // every attempt that fails is a loss of its own
    this.isHealing = true
    for (let pause = 100; !this.isOver; pause = Math.min(pause * 2, MAX_RETRY_DELAY)) {
      await sleep(pause, this.end.signal)
      if (!this.isOver) await this.reconnect(connection)
    }
    this.isHealing = false
  }

  /** Nothing is heard here: the worker looks, as often as where nobody tells. */
  endListening(): void {
    this.isListening = false
    this.end.abort()
  }

  close(): Promise<void> {
    this.end.abort()
    return Promise.resolve()
  }

  private get isOver(): boolean {
    return this.isListening || this.end.signal.aborted
  }

  private async reconnect(connection: PostgresConnection): Promise<void> {
    try {
      await connection.connect(CONNECT_WITHIN)
    } catch (error) {
      this.logger.debug({ err: error }, 'the connection that listens for new jobs is not back yet')
    }
  }
}

export function notificationOf({ queue, priority }: Arrival): string {
  return JSON.stringify([priority, queue])
}

function arrivalOf(payload: string | undefined): Arrival | undefined {
  try {
    const [priority, queue] = JSON.parse(payload ?? '') as [number, string]
    return { priority, queue }
  } catch {
    return undefined
  }
}
