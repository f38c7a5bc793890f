import { codeOf, isAnswer } from './answer'
import { oncePerClass, type Connection, type Query, type QueryConstructor, type Statement } from './client'
import { execute } from './message'
import { inOneWrite } from './one-write'

/** A statement that travels with another one, and goes before it. */
export interface Passenger {
  readonly statement: Statement
  /** The database has executed it, or refused it. */
  arrived?(error?: unknown): void
  /** Nobody knows what became of it. */
  lost?(): void
}

interface Carrier {
  passengers: readonly Passenger[]
  /** It has no parameters and no rows, so nobody asks the server what they are like. */
  isBare: boolean
}

type Carrying = new (...args: ConstructorParameters<QueryConstructor>) => Query & Carrier

/** pg's Query, with statements that go before its own in one message. */
export const carrying = oncePerClass(derived)

/**
 * One Sync at the end: after an error, the server skips everything up to it.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
function derived(Base: QueryConstructor): Carrying {
  return class extends Base {
    passengers: readonly Passenger[] = []
    isBare = false
    private arrivals = 0
    private own: Pick<Query, 'name' | 'text'> | undefined

    override submit(connection: Connection): unknown {
      const refused = inOneWrite(connection, () => this.compose(connection))
      this.own = { name: this.name, text: this.text }
      this.show()
      return refused
    }

    private compose(connection: Connection): unknown {
      for (const { statement } of this.passengers) execute(connection, statement)
      return this.isBare ? this.submitBare(connection) : super.submit(connection)
    }

    private submitBare(connection: Connection): null {
      execute(connection, { name: this.name, text: this.text, values: [] })
      connection.sync()
      return null
    }

    override requiresPreparation(): boolean {
      return true // the simple protocol has no place for passengers
    }

    override handleRowDescription(message: unknown): void {
      if (!this.passenger) super.handleRowDescription(message)
    }

    override handleDataRow(message: unknown): void {
      if (!this.passenger) super.handleDataRow(message)
    }

    override handleCommandComplete(message: unknown, connection: unknown): void {
      const { passenger } = this
      if (!passenger) return super.handleCommandComplete(message, connection)
      this.arrivals++
      this.show()
      passenger.arrived?.()
    }

    override handleError(error: unknown, connection: Connection): void {
      const { passenger } = this
      // The session has been swept clean: the next one parses anew.
      if (this.name && codeOf(error) === '26000') connection.parsedStatements[this.name] = undefined
      const { submittedNamedStatements: submitted } = connection
      if (passenger && this.own?.name && submitted) submitted[this.own.name] = undefined
      if (isAnswer(error)) passenger?.arrived?.(error)
      else passenger?.lost?.()
      super.handleError(error, connection)
    }

    private get passenger(): Passenger | undefined {
      return this.passengers[this.arrivals]
    }

    /** pg remembers what a connection has parsed by the name of the query that is being answered. */
    private show(): void {
      const { name, text } = this.passenger?.statement ?? this.own ?? this
      this.name = name
      this.text = text
    }
  }
}
