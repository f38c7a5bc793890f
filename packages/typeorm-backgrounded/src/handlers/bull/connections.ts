import { Redis, type Cluster, type RedisOptions } from 'ioredis'
import type { Logger } from '../../logger'
import type { ConnectionType, CreateClient } from './options'

export type Connection = Redis | Cluster

const PATIENCE_AT_THE_END = 500

/** The connections of one handler. None is made, and none connects, before somebody sends a command. */
export class Connections {
  private readonly opened = new Set<Connection>()
  private sharedClient: Connection | undefined

  constructor(
    private readonly redis: RedisOptions | CreateClient,
    private readonly logger: Logger,
  ) {}

  /** The one that all commands of this process share. */
  get client(): Connection {
    return (this.sharedClient ??= this.open('client'))
  }

  open(type: ConnectionType): Connection {
    const connection = typeof this.redis === 'function' ? this.redis(type) : new Redis(optionsFor(type, this.redis))
    connection.setMaxListeners(0) // every raw queue listens on the shared one
    this.reportOutages(connection, type)
    this.opened.add(connection)
    return connection
  }

  /** One on its way, for Bull, which waits for connections and makes none. */
  connected(type: ConnectionType): Connection {
    const connection = type === 'client' ? this.client : this.open(type)
    if (connection.status === 'wait') connection.connect().catch(() => {}) // it tries again, and its errors are reported
    return connection
  }

  /** Lets what was sent arrive, for a moment, and closes them all. */
  async close(): Promise<void> {
    const opened = [...this.opened]
    this.opened.clear()
    this.sharedClient = undefined
    await Promise.all(opened.map((connection) => end(connection)))
  }

  /** Without a listener ioredis prints every failed attempt to connect. */
  private reportOutages(connection: Connection, type: ConnectionType): void {
    let isOut = false
    connection.on('error', (error: Error) => {
      if (isOut) return
      isOut = true
      this.logger.warn({ err: error, connection: type }, 'the connection to Redis is broken')
    })
    connection.on('ready', () => {
      if (isOut) this.logger.info({ connection: type }, 'the connection to Redis is back')
      isOut = false
    })
  }
}

function optionsFor(type: ConnectionType, options: RedisOptions): RedisOptions {
  // Commands wait for a connection that is on its way; how long a call may wait is the scripts' own deadline.
  const always: RedisOptions = { lazyConnect: true, maxRetriesPerRequest: null }
  // Bull refuses its other connections where Redis is asked whether it is ready.
  return type === 'client' ? { ...options, ...always } : { ...options, ...always, enableReadyCheck: false }
}

async function end(connection: Connection): Promise<void> {
  if (connection.status === 'ready') {
    const patience = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_AT_THE_END).unref())
    await Promise.race([connection.quit().catch(() => {}), patience])
  }
  connection.disconnect()
}
