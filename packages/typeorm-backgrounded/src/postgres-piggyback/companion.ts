import { queriesOf, type PiggybackClient, type Query, type Statement } from './client'
import type { Load } from './piggyback'
import { carrying, type Passenger } from './with-passengers'

const BEGIN: Statement = { text: 'START TRANSACTION', values: [] }
const COMMIT: Statement = { text: 'COMMIT', values: [] }
/** As pg answers a BEGIN. */
const BEGUN = { command: 'START', rowCount: null, rows: [], fields: [] }

/** Stands between one of pg's clients and all who send statements through it. */
export class Companion {
  load: Load | undefined
  /** A transaction has begun, and the server is still to be told. */
  private isBeginning = false
  private readonly send: PiggybackClient['query']
  private readonly Query: ReturnType<typeof queriesOf>

  constructor(private readonly client: PiggybackClient) {
    this.send = client.query.bind(client)
    this.Query = queriesOf(client)
  }

  /** In place of the client's own. */
  query(args: readonly unknown[]): unknown {
    if (this.Query && isOnly(BEGIN, args)) {
      this.isBeginning = true
      return Promise.resolve(BEGUN)
    }
    if (!this.isBeginning && !this.load) return this.send(...args)
    if (this.Query && isOnly(COMMIT, args)) return this.carry(COMMIT)
    if (this.Query && !this.load && isPlain(args)) return this.carry({ text: args[0], values: args[1] })
    this.sendLoad()
    this.sendBegin()
    return this.send(...args)
  }

  sendLoad(): void {
    const { load } = this
    if (!load) return
    this.load = undefined
    const statement = load.statement()
    const sent = this.Query && this.isBeginning ? this.carry(statement) : this.send({ ...statement })
    ;(sent as Promise<unknown>).then(
      () => load.arrived(),
      (error: unknown) => load.arrived(error),
    )
  }

  /** What waits goes in one message with this statement. */
  private carry({ name, text, values }: Pick<Statement, 'name' | 'text'> & { values: readonly unknown[] }): unknown {
    return new Promise((resolve, reject) => {
      const { isBeginning, load } = this
      this.isBeginning = false
      this.load = undefined
      let hasBegun = !isBeginning
      const begin: Passenger = { statement: BEGIN, arrived: (error) => (hasBegun = error === undefined) }
      const Carrying = carrying(this.Query as NonNullable<typeof this.Query>)
      const query = new Carrying(text, values, (error, result) => {
        if (error && !hasBegun) this.destroy()
        return error ? reject(error as Error) : resolve(result)
      })
      query.name = name
      query.isBare = values.length === 0
      query.passengers = [...(isBeginning ? [begin] : []), ...(load ? [passengerOf(load)] : [])]
      this.send(query)
    })
  }

  private sendBegin(): void {
    if (!this.isBeginning || !this.Query) return
    this.isBeginning = false
    const begin: Query = new this.Query(BEGIN.text, [], (error) => {
      if (error) this.destroy()
    })
    this.send(begin)
  }

  /** What is behind a BEGIN that failed must not run outside of a transaction. */
  private destroy(): void {
    this.client.connection?.stream?.destroy()
  }
}

function passengerOf(load: Load): Passenger {
  return { statement: load.statement(), arrived: (error) => load.arrived(error), lost: () => load.lost() }
}

/** As TypeORM begins and commits. */
function isOnly(statement: Statement, [text, ...rest]: readonly unknown[]): boolean {
  return text === statement.text && rest.every((each) => each === undefined)
}

/** One statement, since it has values, as TypeORM sends it. */
function isPlain(args: readonly unknown[]): args is [string, readonly unknown[]] {
  const [text, values] = args
  return args.length === 2 && typeof text === 'string' && Array.isArray(values) && values.length > 0
}
