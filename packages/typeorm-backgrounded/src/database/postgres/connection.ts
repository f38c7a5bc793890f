import { isPreparedStatementError } from '../errors'
import { ServerConnection, type Connector } from '../server-connection'
import { cut, type ClientConstructor, type PostgresClient } from '../../upstream/pg'
import { requestCancel } from './cancel-request'
import { statementName } from './statement-name'

/** The answers to two statements that were sent together. */
export interface BothRows<Row> {
  readonly rows: Row[]
  /** The rows of the second statement, or its error, which does not affect the first one. */
  readonly read: readonly object[] | Error
}

export interface PostgresConnectionOptions {
  readonly Client: ClientConstructor
  /** pg's connection options. */
  readonly client: object
  readonly session: PostgresSession
  /** How long a statement may take, in ms. The server cancels it a little before the caller gives up. */
  readonly patience: number
  /** Statements are rarely repeated, so each is planned for its own values. */
  readonly isAdHoc?: boolean
  /** Statements may be sent without waiting for the answers to previous ones, where pg supports that. */
  readonly pipelines?: boolean
  /** Run on every new connection, before anything else. */
  readonly prepare?: (client: PostgresClient) => Promise<void>
  /** Called when the connection was lost unexpectedly. */
  readonly onLoss?: () => void
  /** Called when the server accepts no writes, or the session is not the connection's own. */
  readonly onStale?: (error: unknown) => void
}

/** What the connections of one handler have found out about their sessions. */
export interface PostgresSession {
  /**
   * Statements may be prepared, and the session may be changed. False behind a pooler that gives sessions to other
   * clients.
   */
  isOwned: boolean
}

/**
 * Makes plans use indices, and be kept: a table that was empty when a statement was planned may hold a million rows now,
 * and planning takes longer than running.
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

/** Lets the server end a statement that takes too long, even when the request to cancel it does not arrive. */
function timeoutFor(patience: number): string {
  return `SET statement_timeout = ${Math.max(1, Math.round(patience * 0.9))}`
}

/** A connection to Postgres, which runs one statement at a time. */
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
   * The same with two more statements, which are sent without waiting for the first answer: one that reads what the first
   * has done, and one that cleans up. Returns undefined, and sends nothing, when pg sends only one statement at a time.
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
    async connect(onLoss) {
      const client = new Client({ ...options, pipeline: pipelines })
      client.on('error', onLoss)
      client.on('end', onLoss)
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
