import { isPreparedStatementError } from '../errors'
import { ServerConnection, type Connector } from '../server-connection'
import { cut, type ClientConstructor, type PostgresClient } from '../../upstream/pg'
import { requestCancel } from './cancel-request'
import { statementName } from './statement-name'

/** The answers to two statements that were sent together. */
export interface BothRows<Row> {
  readonly rows: Row[]
  /** Or why the second one has failed, which the first one does not care about. */
  readonly read: readonly object[] | Error
}

export interface PostgresConnectionOptions {
  readonly Client: ClientConstructor
  /** pg's own. */
  readonly client: object
  readonly session: PostgresSession
  /** What a statement may take, in ms: the server ends it a little before those who wait for it give up. */
  readonly patience: number
  /** Few statements are ever the same: each is parsed and planned for its own values. */
  readonly isAdHoc?: boolean
  /** Statements may be sent without waiting for the answers to those before, where pg can. */
  readonly pipelines?: boolean
  /** Run on every new connection, before anything else. */
  readonly prepare?: (client: PostgresClient) => Promise<void>
  /** The connection is gone, and nobody asked for it. */
  readonly onLoss?: () => void
  /** The server accepts no writes, or the session is not this connection's own. */
  readonly onStale?: (error: unknown) => void
}

/** What the connections of one handler know of their sessions. */
export interface PostgresSession {
  /** Statements are parsed once, and the session may be changed; not behind a pooler that hands sessions around. */
  isOwned: boolean
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

/** Also where nobody can ask for it any more, the server ends a statement that nobody waits for. */
function timeoutFor(patience: number): string {
  return `SET statement_timeout = ${Math.max(1, Math.round(patience * 0.9))}`
}

/** One connection to Postgres, for one statement after the other. */
export class PostgresConnection {
  private readonly connection: ServerConnection<PostgresClient>

  constructor(private readonly options: PostgresConnectionOptions) {
    const { session, onLoss, onStale } = options
    this.connection = new ServerConnection(connector(options), {
      onLoss,
      onStale(error) {
        if (isPreparedStatementError(error)) session.isOwned = false
        onStale?.(error)
      },
    })
  }

  /**
   * @param timeout ms
   * @throws StoreUnavailableError, or the driver's error
   */
  async query<Row>(text: string, values: readonly unknown[], timeout: number): Promise<Row[]> {
    return this.connection.use((client) => this.run<Row>(client, text, values), timeout)
  }

  /**
   * The same, and two more statements behind it, without waiting for its answer: one that reads what the first has done,
   * and one that cleans up. Undefined: this version of pg sends one at a time, and nothing was sent.
   */
  async queryAndRead<Row>(
    text: string,
    values: readonly unknown[],
    { read, cleanUp }: { read: string; cleanUp: string },
    timeout: number,
  ): Promise<BothRows<Row> | undefined> {
    return this.connection.use(async (client) => {
      if (!client.pipeline) return undefined
      const [rows, readRows] = await Promise.allSettled([
        this.run<Row>(client, text, values),
        this.run<object>(client, read, []),
        this.run(client, cleanUp, []),
      ])
      if (rows.status === 'rejected') throw rows.reason
      return { rows: rows.value, read: readRows.status === 'fulfilled' ? readRows.value : (readRows.reason as Error) }
    }, timeout)
  }

  private async run<Row>(client: PostgresClient, text: string, values: readonly unknown[]): Promise<Row[]> {
    const { session, isAdHoc } = this.options
    const name = session.isOwned && !isAdHoc ? statementName(text) : undefined
    return (await client.query({ name, text, values })).rows as Row[]
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
  session,
  patience,
  pipelines = false,
  prepare,
}: PostgresConnectionOptions): Connector<PostgresClient> {
  return {
    async connect(lost) {
      const client = new Client({ ...options, pipeline: pipelines })
      client.on('error', lost)
      client.on('end', lost)
      await client.connect()
      return client
    },
    async prepare(client) {
      if (session.isOwned) await client.query({ text: `${SESSION}; ${timeoutFor(patience)}` })
      await prepare?.(client)
    },
    cancel: requestCancel,
    end: (client) => client.end(),
    destroy: cut,
  }
}
