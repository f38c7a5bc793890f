import type { Logger } from '../../../logger'
import { sleep } from '../../../concurrency/sleep'
import type { Arrival, Arrivals } from '../server/arrivals'
import type { PostgresConnection } from '../../../database/postgres/connection'
import type { PostgresClient } from '../../../upstream/pg'

const MAX_RETRY_DELAY = 5_000
const CONNECT_WITHIN = 10_000

/** Receives what callers send with NOTIFY, on the worker's own connection. */
export class Notifications implements Arrivals {
  isListening = false
  private isReconnecting = false
  private readonly end = new AbortController()
  private arrived: (job?: Arrival) => void = () => {}

  constructor(
    private readonly channel: string,
    private readonly logger: Logger,
  ) {}

  onArrival(arrived: (job?: Arrival) => void): void {
    this.arrived = arrived
  }

  /** Called for every new connection. */
  async listenOn(client: PostgresClient): Promise<void> {
    client.on('notification', ({ payload }: { payload?: string }) => this.arrived(arrivalOf(payload)))
    await client.query({ text: `LISTEN "${this.channel}"` })
    this.isListening = true
    this.arrived() // jobs may have come before this connection listened
  }

  /** Reconnects after the connection was lost, because an idle worker sends no statement that would do so. */
  async restore(connection: PostgresConnection): Promise<void> {
    this.isListening = false
    if (this.isReconnecting) return // a failed attempt counts as a lost connection too
    this.isReconnecting = true
    for (let pause = 100; !this.isOver; pause = Math.min(pause * 2, MAX_RETRY_DELAY)) {
      await sleep(pause, this.end.signal)
      if (!this.isOver) await this.reconnect(connection)
    }
    this.isReconnecting = false
  }

  /** No notification arrives here, so the worker polls. */
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
