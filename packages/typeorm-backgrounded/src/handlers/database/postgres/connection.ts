import { ServerConnection, type Connector } from '../server/connection'
import { queryAndRead, type BothRows } from './query-and-reading'
import { statementName } from './statement-name'

/** The part of `pg`'s Client that is used here. */
export interface PostgresClient {
  connect(): Promise<unknown>
  query(query: object): Promise<{ rows: unknown[] }>
  on(event: 'error' | 'end' | 'notification', listener: (message: never) => void): unknown
  end(): Promise<void>
  readonly connection: { readonly stream: { destroy(): void } }
}

export interface ClientConstructor {
  new (options: object): PostgresClient
  readonly Query: new (text: string, values: readonly unknown[], callback: Answered) => { name?: string }
}

type Answered = (error: Error | null, result: { rows: unknown[] }) => void

export interface PostgresConnectionOptions {
  readonly Client: ClientConstructor
  /** pg's own. */
  readonly client: object
  /** Statements are parsed once, and the session may be changed; not behind a pooler that hands sessions around. */
  readonly ownsSession: boolean
  /** Few statements are ever the same: each is parsed and planned for its own values. */
  readonly isAdHoc?: boolean
  /** Run on every new connection, before anything else. */
  readonly prepare?: (client: PostgresClient) => Promise<void>
  /** The connection is gone, and nobody asked for it. */
  readonly onLoss?: () => void
}

/**
 * A table that was empty when the statement was planned may hold a million rows now: the index is always right. And
 * planning takes longer than running.
 */
export const SESSION = [
  'enable_seqscan = off',
  'enable_bitmapscan = off',
  'jit = off',
  'plan_cache_mode = force_generic_plan',
  "default_transaction_isolation = 'read committed'",
]
  .map((setting) => `SET ${setting}`)
  .join('; ')

/** One connection to Postgres, for one statement after the other. */
export class PostgresConnection {
  private readonly connection: ServerConnection<PostgresClient>

  constructor(private readonly options: PostgresConnectionOptions) {
    this.connection = new ServerConnection(connector(options), options.onLoss)
  }

  /**
   * @param timeout ms
   * @throws StoreUnavailableError, or the driver's error
   */
  async query<Row>(text: string, values: readonly unknown[], timeout: number): Promise<Row[]> {
    return this.connection.use((client) => this.run<Row>(client, text, values), timeout)
  }

  /**
   * The same, and a second statement in the same message, which sees what the first has done.
   * @throws StoreUnavailableError, or the driver's error: when it is the server's, neither has been done
   */
  async queryAndRead<Row>(
    text: string,
    values: readonly unknown[],
    reading: string,
    timeout: number,
  ): Promise<BothRows<Row>> {
    const { Client } = this.options
    return this.connection.use((client) => queryAndRead<Row>(client, Client, text, values, reading), timeout)
  }

  /** As a finished query: of a description, pg makes a copy, which takes as long as a lone job's run. */
  private run<Row>(client: PostgresClient, text: string, values: readonly unknown[]): Promise<Row[]> {
    const { Client, ownsSession, isAdHoc } = this.options
    return new Promise((resolve, reject) => {
      const query = new Client.Query(text, values, (error, result) =>
        error ? reject(error) : resolve(result.rows as Row[]),
      )
      if (ownsSession && !isAdHoc) query.name = statementName(text)
      void client.query(query)
    })
  }

  connect(timeout: number): Promise<void> {
    return this.connection.connect(timeout)
  }

  close(): Promise<void> {
    return this.connection.close()
  }
}

function connector({
  Client,
  client: options,
  ownsSession,
  prepare,
}: PostgresConnectionOptions): Connector<PostgresClient> {
  return {
    async connect(lost) {
      const client = new Client(options)
      client.on('error', lost)
      client.on('end', lost)
      await client.connect()
      return client
    },
    async prepare(client) {
      if (ownsSession) await client.query({ text: SESSION })
      await prepare?.(client)
    },
    end: (client) => client.end(),
    destroy: (client) => client.connection.stream.destroy(),
  }
}
