import {
  isCancelledError,
  isConnectionError,
  isPreparedStatementError,
  isReadOnlyError,
  isStalePlanError,
} from './errors'
import { StoreUnavailableError } from '../errors'
import { LONGEST_TIMER } from '../concurrency/sleep'
import { sleep } from '../concurrency/sleep'

/** How connections of one kind of server are made and ended. */
export interface Connector<Client> {
  /** @param onLoss must be called when the connection is lost */
  connect(onLoss: () => void): Promise<Client>
  /** Sets up a new connection. */
  prepare(client: Client): Promise<void>
  /** Cancels the statement of this connection. Resolves when the server has the request. */
  cancel(client: Client): Promise<void>
  /** Closes the connection in order. */
  end(client: Client): Promise<void>
  /** Closes the connection at once. Statements that wait for it must be rejected. */
  destroy(client: Client): void
}

export interface ConnectionListener {
  /** Called when the connection was lost unexpectedly. */
  readonly onLoss?: () => void
  /**
   * Called when the server accepts no writes, or the session is not the same any more. A new connection replaces this
   * one.
   */
  readonly onStale?: (error: unknown) => void
}

const PATIENCE_AT_THE_END = 500
const PREPARED_WITHIN = 10_000
/** How long the server may take to cancel a statement, in ms. */
const CANCELLED_WITHIN = 1_000

/**
 * A connection of the library's own, which is made when it is first needed, and again after it was lost. It does one piece
 * of work at a time. A statement that has timed out is cancelled on the server, which would otherwise go on waiting for a
 * lock, and in the end do what may have been done by a later statement.
 */
export class ServerConnection<Client> {
  private opened: Promise<Client> | undefined
  /** Resolves when the previous work has ended in any way. */
  private last: Promise<unknown> = Promise.resolve()
  private isWorking = false

  constructor(
    private readonly connector: Connector<Client>,
    private readonly listener: ConnectionListener = {},
  ) {}

  /**
   * @param timeout ms; after that the work is cancelled on the server, and it is unknown whether it was done
   * @throws StoreUnavailableError, or the driver's error
   */
  use<T>(work: (client: Client) => Promise<T>, timeout: number): Promise<T> {
    let connection: Promise<Client> | undefined
    let isLate = false
    const done = this.last.then(async () => {
      for (let isRetry = false; ; isRetry = true) {
        // The caller does not wait any more, and takes the work for undone.
        if (isLate) throw tooBusy()
        const isNew = this.opened === undefined
        connection = this.open()
        try {
          const client = await connection
          if (isLate) throw tooBusy()
          this.isWorking = true
          return await work(client)
        } catch (error) {
          if (isBroken(error)) this.abandon(connection)
          if (!isStale(error)) throw sorted(error)
          this.listener.onStale?.(error)
          this.abandon(connection)
          // The server has done nothing, and another server may have the same address by now.
          if (isRetry || (isNew && isReadOnlyError(error))) throw sorted(error)
        } finally {
          this.isWorking = false
        }
      }
    })
    const inTime = within(timeout, done, () => (isLate = true))
    this.last = inTime.catch(() => (isLate && connection ? this.giveUp(connection, done) : undefined))
    return inTime
  }

  /** Makes the connection if there is none. */
  async connect(timeout: number): Promise<void> {
    await this.use(() => Promise.resolve(), timeout)
  }

  async close(): Promise<void> {
    const { opened, isWorking } = this
    this.opened = undefined
    if (!opened) return
    const ended = opened.then(async (client) => {
      if (isWorking) await this.connector.cancel(client)
      await this.connector.end(client)
    })
    await within(PATIENCE_AT_THE_END, ended, () => this.abandon(opened)).catch(() => {})
  }

  /** Keeps the connection if the server has cancelled the statement. The next piece of work waits for that. */
  private async giveUp(connection: Promise<Client>, done: Promise<unknown>): Promise<void> {
    let isOver = false
    const over = done.catch(() => {}).then(() => (isOver = true))
    const cancelled = connection.then((client) => this.connector.cancel(client)).catch(() => {})
    const patience = new AbortController()
    await Promise.race([Promise.all([over, cancelled]), sleep(CANCELLED_WITHIN, patience.signal)])
    patience.abort()
    if (!isOver) this.abandon(connection)
  }

  private open(): Promise<Client> {
    if (this.opened) return this.opened
    const opening: Promise<Client> = this.prepared(this.connector.connect(() => this.lose(opening)))
    this.opened = opening
    opening.catch(() => this.lose(opening))
    return opening
  }

  /** A connection that cannot be set up is closed. */
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
    this.listener.onLoss?.()
  }

  private abandon(connection: Promise<Client>): void {
    this.lose(connection)
    connection.then((client) => this.connector.destroy(client)).catch(() => {})
  }
}

/** mysql2 reports some errors only to the statement that was running. */
function isBroken(error: unknown): boolean {
  return isConnectionError(error) || (error as { fatal?: unknown })?.fatal === true
}

/** An error that this connection would have again and again, and a new one may not have. */
function isStale(error: unknown): boolean {
  return isReadOnlyError(error) || isPreparedStatementError(error) || isStalePlanError(error)
}

function tooBusy(): StoreUnavailableError {
  return new StoreUnavailableError('The database was too busy.')
}

function sorted(error: unknown): unknown {
  if (isReadOnlyError(error)) {
    return new StoreUnavailableError(
      'The database server accepts no writes: it is a standby, or is set to read-only.',
      {
        cause: error,
      },
    )
  }
  if (!isCancelledError(error)) return error
  return new StoreUnavailableError('The database server has ended a statement before its end: it took too long.', {
    cause: error,
  })
}

/** @throws StoreUnavailableError after `timeout` ms, having called `late` */
function within<T>(timeout: number, work: Promise<T>, late: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => {
        late()
        reject(new StoreUnavailableError(`The database has not answered for ${timeout / 1000} s.`))
      },
      Math.min(timeout, LONGEST_TIMER),
    )
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
