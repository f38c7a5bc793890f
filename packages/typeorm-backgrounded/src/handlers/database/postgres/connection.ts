import { StoreUnavailableError } from '../../../errors'

/** The part of `pg`'s Client that is used here. */
export interface PostgresClient {
  connect(): Promise<unknown>
  query(query: { name?: string; text: string; values?: readonly unknown[] }): Promise<{ rows: unknown[] }>
  on(event: 'error' | 'end' | 'notification', listener: (message: never) => void): unknown
  end(): Promise<void>
  readonly connection: { readonly stream: { destroy(): void } }
}

export type ClientConstructor = new (options: object) => PostgresClient

export interface PostgresConnectionOptions {
  readonly Client: ClientConstructor
  /** pg's own. */
  readonly client: object
  /** Statements are parsed once, and the session may be changed; not behind a pooler that hands sessions around. */
  readonly ownsSession: boolean
  /** Run on every new connection, before anything else. */
  readonly prepare?: (client: PostgresClient) => Promise<void>
  /** The connection is gone, and nobody asked for it. */
  readonly onLoss?: () => void
}

const PATIENCE_AT_THE_END = 500

/**
 * One connection of the library's own, made when it is first needed, and made anew after it broke. Statements run one
 * after the other.
 */
export class PostgresConnection {
  private opened: Promise<PostgresClient> | undefined
  /** The statement before, ended in any way. */
  private last: Promise<unknown> = Promise.resolve()
  private readonly names = new Map<string, string>()

  constructor(private readonly options: PostgresConnectionOptions) {}

  /**
   * @param timeout ms; after that the connection is given up, and whether the statement ran is unknown
   * @throws StoreUnavailableError, or the driver's error
   */
  async query<Row>(text: string, values: readonly unknown[], timeout: number): Promise<Row[]> {
    const connection = this.open()
    let isLate = false
    const answer = this.last.then(async () => {
      const client = await connection
      // Nobody waits for it any more, and would take it for undone.
      if (isLate) throw new StoreUnavailableError('The database was too busy.')
      return client.query({ name: this.nameOf(text), text, values })
    })
    this.last = answer.catch(() => {})
    const { rows } = await inTime(answer, timeout, () => {
      isLate = true
      this.abandon(connection)
    })
    return rows as Row[]
  }

  /** Makes the connection if there is none. */
  async connect(timeout: number): Promise<void> {
    await this.query('SELECT 1', [], timeout)
  }

  async close(): Promise<void> {
    const { opened } = this
    this.opened = undefined
    if (!opened) return
    const ended = opened.then((client) => client.end())
    await inTime(ended, PATIENCE_AT_THE_END, () => destroy(opened)).catch(() => {})
  }

  private open(): Promise<PostgresClient> {
    if (this.opened) return this.opened
    const opening: Promise<PostgresClient> = this.connected(() => this.lose(opening))
    this.opened = opening
    opening.catch(() => this.lose(opening))
    return opening
  }

  private async connected(lost: () => void): Promise<PostgresClient> {
    const client = new this.options.Client(this.options.client)
    client.on('error', lost)
    client.on('end', lost)
    await client.connect()
    if (this.options.ownsSession) await client.query({ text: SESSION })
    await this.options.prepare?.(client)
    return client
  }

  private lose(connection: Promise<PostgresClient>): void {
    if (this.opened !== connection) return
    this.opened = undefined
    this.options.onLoss?.()
  }

  /** What waits for it is rejected by the driver. */
  private abandon(connection: Promise<PostgresClient>): void {
    this.lose(connection)
    destroy(connection)
  }

  private nameOf(text: string): string | undefined {
    if (!this.options.ownsSession) return undefined
    let name = this.names.get(text)
    if (!name) this.names.set(text, (name = `backgrounded_${this.names.size}`))
    return name
  }
}

function destroy(connection: Promise<PostgresClient>): void {
  connection.then((client) => client.connection.stream.destroy()).catch(() => {})
}

/** A table that was empty when the statement was planned may hold a million rows now: the index is always right. */
const SESSION = 'SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off'

/** @throws StoreUnavailableError after `timeout` ms, having called `late` */
function inTime<T>(work: Promise<T>, timeout: number, late: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new StoreUnavailableError(`The database has not answered for ${timeout / 1000} s.`))
      late()
    }, timeout)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
