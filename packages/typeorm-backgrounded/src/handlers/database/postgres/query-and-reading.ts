import type { ClientConstructor, PostgresClient } from './connection'
import { statementName } from './statement-name'

/** The rows of two statements that went in one message. */
export interface BothRows<Row> {
  readonly rows: Row[]
  readonly read: readonly object[]
}

type Result = { readonly rows: unknown[] }

/** The parts of pg's Query and Connection that are used here. */
interface Query {
  name?: string
  text: string
  prepare(connection: Connection): void
  handleCommandComplete(message: unknown, connection: unknown): void
}

interface Connection {
  readonly parsedStatements: Record<string, string | undefined>
  parse(statement: { name: string; text: string; types: readonly never[] }): void
  bind(values: { portal: string; statement: string; values: readonly never[] }): void
  describe(portal: { type: 'P'; name: string }): void
  execute(portal: { portal: string; rows: number }): void
  sync(): void
}

type Answered = (error: Error | null, results: Result | readonly Result[]) => void
type QueryConstructor = new (text: string, values: readonly unknown[], callback: Answered) => Query
type WithReading = new (text: string, values: readonly unknown[], reading: string, callback: Answered) => Query

const made = new WeakMap<QueryConstructor, WithReading>()

/**
 * Sends a statement and, in the same message, one that reads what it left behind. One transaction: when the reading
 * fails, nothing was done.
 * @throws the driver's error
 */
export function queryAndRead<Row>(
  client: PostgresClient,
  { Query }: ClientConstructor,
  text: string,
  values: readonly unknown[],
  reading: string,
): Promise<BothRows<Row>> {
  const Base = Query as unknown as QueryConstructor
  let Derived = made.get(Base)
  if (!Derived) made.set(Base, (Derived = derived(Base)))
  const Both = Derived
  return new Promise((resolve, reject) => {
    const query = new Both(text, values, reading, (error, results) => {
      if (error) return reject(error)
      const [first, second] = results as readonly [Result, Result]
      resolve({ rows: first.rows as Row[], read: second.rows as object[] })
    })
    void client.query(query)
  })
}

function derived(Base: QueryConstructor): WithReading {
  return class extends Base {
    private readonly own: string

    constructor(
      text: string,
      values: readonly unknown[],
      private readonly reading: string,
      callback: Answered,
    ) {
      super(text, values, callback)
      this.own = statementName(text)
      this.name = this.own
    }

    override prepare(connection: Connection): void {
      super.prepare(Object.create(connection, { sync: { value() {} } }) as Connection)
      const name = statementName(this.reading)
      if (connection.parsedStatements[name] !== this.reading) connection.parse({ name, text: this.reading, types: [] })
      connection.bind({ portal: '', statement: name, values: [] })
      connection.describe({ type: 'P', name: '' })
      connection.execute({ portal: '', rows: 0 })
      connection.sync()
    }

    /** pg remembers what a connection has parsed by the name of the query that is being answered. */
    override handleCommandComplete(message: unknown, connection: unknown): void {
      super.handleCommandComplete(message, connection)
      if (this.name !== this.own) return
      this.name = statementName(this.reading)
      this.text = this.reading
    }
  }
}
