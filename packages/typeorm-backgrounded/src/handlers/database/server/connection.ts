import { isConnectionError } from '../../../database-errors'
import { StoreUnavailableError } from '../../../errors'

/** How connections of one kind of server are made and ended. */
export interface Connector<Client> {
  /** @param lost to be called when the connection is gone */
  connect(lost: () => void): Promise<Client>
  /** Makes a new connection what it has to be. */
  prepare(client: Client): Promise<void>
  /** Takes leave of the server. */
  end(client: Client): Promise<void>
  /** At once; what waits for it must be rejected. */
  destroy(client: Client): void
}

const PATIENCE_AT_THE_END = 500
const PREPARED_WITHIN = 10_000

/**
 * One connection of the library's own, made when it is first needed, and made anew after it broke. One piece of work
 * after the other.
 */
export class ServerConnection<Client> {
  private opened: Promise<Client> | undefined
  /** The work before, ended in any way. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly connector: Connector<Client>,
    /** The connection is gone, and nobody asked for it. */
    private readonly onLoss: () => void = () => {},
  ) {}

  /**
   * @param timeout ms; after that the connection is given up, and whether the work was done is unknown
   * @throws StoreUnavailableError, or the driver's error
   */
  use<T>(work: (client: Client) => Promise<T>, timeout: number): Promise<T> {
    let connection: Promise<Client> | undefined
    let isLate = false
    const done = this.last.then(async () => {
      // Nobody waits for it any more, and would take it for undone.
      if (isLate) throw new StoreUnavailableError('The database was too busy.')
      connection = this.open()
      return work(await connection)
    })
    done.catch((error: unknown) => {
      if (connection && isBroken(error)) this.abandon(connection)
    })
    const inTime = within(timeout, done, () => {
      isLate = true
      if (connection) this.abandon(connection)
    })
    this.last = inTime.catch(() => {})
    return inTime
  }

  /** Makes the connection if there is none. */
  async connect(timeout: number): Promise<void> {
    await this.use(() => Promise.resolve(), timeout)
  }

  async close(): Promise<void> {
    const { opened } = this
    this.opened = undefined
    if (!opened) return
    const ended = opened.then((client) => this.connector.end(client))
    await within(PATIENCE_AT_THE_END, ended, () => this.abandon(opened)).catch(() => {})
  }

  private open(): Promise<Client> {
    if (this.opened) return this.opened
    const opening: Promise<Client> = this.prepared(this.connector.connect(() => this.lose(opening)))
    this.opened = opening
    opening.catch(() => this.lose(opening))
    return opening
  }

  /** One that cannot be prepared is not left behind. */
  private async prepared(connection: Promise<Client>): Promise<Client> {
    const client = await connection
    try {
      await within(PREPARED_WITHIN, this.connector.prepare(client), () => {})
      return client
    } catch (error) {
      this.connector.destroy(client)
      throw error
    }
  }

  private lose(connection: Promise<Client>): void {
    if (this.opened !== connection) return
    this.opened = undefined
    this.onLoss()
  }

  private abandon(connection: Promise<Client>): void {
    this.lose(connection)
    connection.then((client) => this.connector.destroy(client)).catch(() => {})
  }
}

/** mysql2 tells nobody but the statement that was under way. */
function isBroken(error: unknown): boolean {
  return isConnectionError(error) || (error as { fatal?: unknown })?.fatal === true
}

/** @throws StoreUnavailableError after `timeout` ms, having called `late` */
function within<T>(timeout: number, work: Promise<T>, late: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new StoreUnavailableError(`The database has not answered for ${timeout / 1000} s.`))
      late()
    }, timeout)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
