import { isConnectionError } from './database-errors'

/** A statement that waits for the next one of its connection: it goes before that, or in one message with a COMMIT. */
export interface Load {
  /** Asked for when it leaves. Nobody looks at the rows of its answer. */
  statement(): Statement
  /** The database has executed the statement, or refused it. */
  arrived(error?: unknown): void
}

export interface Statement {
  /** Under which the connection parses it once. */
  readonly name?: string
  readonly text: string
  readonly values: readonly (string | null)[]
}

/** The part of `pg`'s Client that is used here. */
export interface PiggybackClient {
  query(...args: readonly unknown[]): unknown
  readonly connection?: Partial<Connection>
  /** It sends everything at once anyway. */
  readonly pipeline?: boolean
}

/** The part of `pg`'s Connection: the messages of PostgreSQL's protocol. */
interface Connection {
  readonly stream: { cork(): void; uncork(): void }
  readonly parsedStatements: Record<string, string | undefined>
  parse(statement: { name: string; text: string; types: readonly never[] }): void
  bind(values: { portal: string; statement: string; values: readonly (string | null)[] }): void
  execute(portal: { portal: string; rows: number }): void
  sync(): void
}

const LOAD = Symbol('load')
type Loaded = PiggybackClient & { [LOAD]?: Load }

/**
 * Lets `load` wait for the next statement of `client`, whoever sends it. A transaction that ends in a COMMIT costs no
 * round trip more than it did: the server commits only if it could execute the load.
 */
export function piggyback(client: PiggybackClient, load: Load): void {
  if (LOAD in client) sendLoad(client)
  else watch(client)
  ;(client as Loaded)[LOAD] = load
}

/** What waits on `client` does so no more. */
export function unload(client: PiggybackClient): Load | undefined {
  const load = (client as Loaded)[LOAD]
  if (load) (client as Loaded)[LOAD] = undefined
  return load
}

/** Sends what waits on `client` now. */
export function sendLoad(client: PiggybackClient): void {
  const load = unload(client)
  if (load) send(client, load)
}

/** Once for each client: they live in a pool, and see many transactions. */
function watch(client: PiggybackClient): void {
  const query = client.query.bind(client)
  Object.defineProperty(client, LOAD, { value: undefined, writable: true })
  client.query = (...args) => {
    const load = unload(client)
    if (!load) return query(...args)
    if (args[0] === 'COMMIT' && args.every((each) => typeof each !== 'function') && speaksProtocol(client))
      return commitWith(query, load)
    send({ query }, load)
    return query(...args)
  }
}

function send({ query }: Pick<PiggybackClient, 'query'>, load: Load): void {
  const sent = query({ ...load.statement() }) as Promise<unknown>
  sent.then(
    () => load.arrived(),
    (error: unknown) => load.arrived(error),
  )
}

function commitWith(query: PiggybackClient['query'], load: Load): Promise<CommitResult> {
  return new Promise((resolve, reject) => {
    query(new CommitWithLoad(load, (error, result) => (result ? resolve(result) : reject(error as Error))))
  })
}

/** Not pg's native client. */
function speaksProtocol({ connection, pipeline }: PiggybackClient): boolean {
  return !pipeline && connection?.parsedStatements !== undefined && typeof connection.bind === 'function'
}

/** As pg answers. */
interface CommitResult {
  readonly command: string
  readonly rowCount: null
  readonly rows: readonly never[]
  readonly fields: readonly never[]
}

const COMMIT: Statement = { text: 'COMMIT', values: [] }
const PARSED_COMMIT: Statement = { ...COMMIT, name: 'backgrounded_commit' }

/**
 * The load and a COMMIT, for pg's queue. After an error, the server skips everything up to the Sync at the end:
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
class CommitWithLoad {
  private statement: Statement
  private readonly commit: Statement
  private command = ''

  constructor(
    private readonly load: Load,
    readonly callback: (error: unknown, result?: CommitResult) => void,
  ) {
    this.statement = load.statement()
    this.commit = this.statement.name ? PARSED_COMMIT : COMMIT
  }

  /** Of the statement that the server works on: pg remembers what a connection has parsed. */
  get name(): string | undefined {
    return this.statement.name
  }

  get text(): string {
    return this.statement.text
  }

  submit(connection: Connection): null {
    connection.stream.cork()
    try {
      execute(connection, this.statement)
      execute(connection, this.commit)
      connection.sync()
    } finally {
      connection.stream.uncork()
    }
    return null
  }

  handleCommandComplete({ text }: { text: string }): void {
    if (this.hasArrived) this.command = text
    else {
      this.statement = this.commit
      this.load.arrived()
    }
  }

  handleError(error: unknown): void {
    if (!this.hasArrived && isAnswer(error)) this.load.arrived(error)
    this.callback(error)
  }

  handleDataRow(): void {}

  handleReadyForQuery(): void {
    this.callback(null, { command: this.command, rowCount: null, rows: [], fields: [] })
  }

  private get hasArrived(): boolean {
    return this.statement === this.commit
  }
}

/** Without one of the server's (a lost connection, pg's own timeout), nobody knows what was committed. */
function isAnswer(error: unknown): boolean {
  return typeof (error as { code?: unknown } | undefined)?.code === 'string' && !isConnectionError(error)
}

function execute(connection: Connection, { name = '', text, values }: Statement): void {
  if (connection.parsedStatements[name] !== text) connection.parse({ name, text, types: [] })
  connection.bind({ portal: '', statement: name, values })
  connection.execute({ portal: '', rows: 0 })
}
