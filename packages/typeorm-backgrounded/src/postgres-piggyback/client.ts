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

/** The part of a socket. */
export interface Stream {
  readonly writable: boolean
  write(bytes: Uint8Array): boolean
  destroy(): void
}

/** The part of `pg`'s Connection: the messages of PostgreSQL's protocol. */
export interface Connection {
  stream: Stream
  readonly parsedStatements: Record<string, string | undefined>
  /** Since pg 8.14. */
  readonly submittedNamedStatements?: Record<string, string | undefined>
  parse(statement: { name: string; text: string; types: readonly never[] }): void
  bind(values: { portal: string; statement: string; values: readonly (string | null)[] }): void
  describe(portal: { type: 'P'; name: string }): void
  execute(portal: { portal: string; rows: number }): void
  sync(): void
}

/** The part of `pg`'s Query: what a client's queue is made of. */
export interface Query {
  name?: string
  text: string
  submit(connection: Connection): unknown
  handleRowDescription(message: unknown): void
  handleDataRow(message: unknown): void
  handleCommandComplete(message: unknown, connection: unknown): void
  handleError(error: unknown, connection: Connection): void
  requiresPreparation(): boolean
}

export interface QueryConstructor {
  new (text: string, values: readonly unknown[], callback: Answered): Query
}

export type Answered = (error: unknown, result?: unknown) => void

/** How `client` makes its queries; nothing: not pg's native client, and not where everything is sent at once. */
export function queriesOf({ constructor, connection, pipeline }: PiggybackClient): QueryConstructor | undefined {
  if (pipeline || connection?.parsedStatements === undefined || typeof connection.bind !== 'function') return undefined
  return (constructor as { Query?: QueryConstructor }).Query
}

/** Makes something of pg's Query once, however often it is asked for. */
export function oncePerClass<T extends object>(make: (Base: QueryConstructor) => T): (Base: QueryConstructor) => T {
  const made = new WeakMap<QueryConstructor, T>()
  return (Base) => {
    const known = made.get(Base) ?? make(Base)
    made.set(Base, known)
    return known
  }
}
