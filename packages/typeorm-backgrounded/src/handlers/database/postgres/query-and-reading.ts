import {
  oncePerClass,
  type Answered,
  type Connection,
  type Query,
  type QueryConstructor,
} from '../../../postgres-piggyback/client'
import { execute } from '../../../postgres-piggyback/message'
import type { ClientConstructor, PostgresClient } from './connection'
import { statementName } from './statement-name'

/** The rows of two statements that went in one message. */
export interface BothRows<Row> {
  readonly rows: Row[]
  readonly read: readonly object[]
}

type WithReading = new (text: string, values: readonly unknown[], reading: string, callback: Answered) => Query

const withReading = oncePerClass(derived)

/**
 * Sends a statement and, in the same message, one that reads what it left behind. One transaction: when the server
 * refuses either, nothing was done.
 * @throws the driver's error
 */
export function queryAndRead<Row>(
  client: PostgresClient,
  { Query }: ClientConstructor,
  text: string,
  values: readonly unknown[],
  reading: string,
): Promise<BothRows<Row>> {
  const Both = withReading(Query as unknown as QueryConstructor)
  return new Promise((resolve, reject) => {
    const query = new Both(text, values, reading, (error, results) => {
      if (error) return reject(error as Error)
      const [first, second] = results as readonly [{ rows: Row[] }, { rows: object[] }]
      resolve({ rows: first.rows, read: second.rows })
    })
    void client.query(query)
  })
}

/** pg's Query, which makes a list of the results of several statements. */
function derived(Base: QueryConstructor): WithReading {
  return class extends Base {
    private isReading = false

    constructor(
      text: string,
      values: readonly unknown[],
      private readonly reading: string,
      callback: Answered,
    ) {
      super(text, values, callback)
      this.name = statementName(text)
    }

    /** In place of pg's own, which would end the message. */
    _getRows(connection: Connection): void {
      connection.execute({ portal: '', rows: 0 })
      execute(connection, { name: statementName(this.reading), text: this.reading, values: [] }, { isDescribed: true })
      connection.sync()
    }

    /** pg remembers what a connection has parsed by the name of the query that is being answered. */
    override handleCommandComplete(message: unknown, connection: unknown): void {
      super.handleCommandComplete(message, connection)
      if (this.isReading) return
      this.isReading = true
      this.name = statementName(this.reading)
      this.text = this.reading
    }
  }
}
