import { Redis, type Cluster, type RedisOptions } from 'ioredis'
import { InvalidOptionError } from '../../errors'
import type { Logger } from '../../logger'
import type { ConnectionType, CreateClient } from './redis-option'
import { cut, cutLive, nodesOf } from '../../upstream/ioredis'
import { withoutArguments } from './without-arguments'

export type Connection = Redis | Cluster

const PATIENCE_AT_THE_END = 150
/** How long Redis may take to say that it is ready, in ms, before a connection counts as dead. */
const READY_WITHIN = 5_000
const GIVE_UP_EVERY = 1_000

/** The connections of one handler. None is made before the first command is sent. */
export class Connections {
  private readonly opened = new Set<Connection>()
  private sharedClient: Connection | undefined
  private isClosed = false
  private gaveUpAt = -Infinity
  /** Logged once, until Redis has answered again. */
  private hasSaid = false

  constructor(
    private readonly redis: RedisOptions | CreateClient,
    private readonly logger: Logger,
  ) {}

  /** The connection that all commands of this process share. Made again when it no longer reconnects by itself. */
  get client(): Connection {
    if (this.sharedClient?.status === 'end' && !this.isClosed) {
      this.opened.delete(this.sharedClient)
      this.sharedClient = undefined
    }
    return (this.sharedClient ??= this.open('client'))
  }

  /** @throws InvalidOptionError */
  open(type: ConnectionType): Connection {
    const connection =
      typeof this.redis === 'function' ? made(this.redis(type)) : new Redis(optionsFor(type, this.redis))
    connection.setMaxListeners(0) // every raw queue listens on the shared one
    this.reportOutages(connection, type)
    connection.on('connect', () => {
      if (this.isClosed) connection.disconnect() // Bull's own consumer connects again what was closed under it
    })
    destroyWhereNobodyAnswers(connection)
    this.opened.add(connection)
    return connection
  }

  /** A connection that is being made, for Bull, which waits for connections and makes none. */
  connected(type: ConnectionType): Connection {
    const connection = type === 'client' ? this.client : this.open(type)
    if (connection.status === 'wait') connection.connect().catch(() => {}) // it tries again, and its errors are reported
    return connection
  }

  /**
   * Replaces all connections by new ones, which may lead to another server, because this one accepts no writes any more or
   * does not answer. Commands without an answer are sent again.
   */
  giveUp(reason: string): void {
    const now = performance.now()
    if (this.isClosed || now - this.gaveUpAt < GIVE_UP_EVERY) return
    this.gaveUpAt = now
    if (!this.hasSaid) this.logger.warn({ reason }, 'the connections to Redis are given up for new ones')
    this.hasSaid = true
    for (const connection of this.opened) cutLive(connection)
  }

  /** Called when Redis has accepted a write. */
  answered(): void {
    if (!this.hasSaid) return
    this.hasSaid = false
    this.logger.info({}, 'Redis does what it is asked for again')
  }

  /** Gives commands a moment to arrive, and closes all connections. */
  async close(): Promise<void> {
    this.isClosed = true
    const opened = [...this.opened]
    this.opened.clear()
    this.sharedClient = undefined
    await Promise.all(opened.map((connection) => end(connection)))
  }

  /** Without a listener ioredis prints every failed attempt to connect. */
  private reportOutages(connection: Connection, type: ConnectionType): void {
    let isOut = false
    connection.on('error', (error: Error) => {
      withoutArguments(error)
      if (isOut || this.hasSaid) return
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
  // Commands wait for a connection that is being made. The deadline of each script limits how long a call waits.
  const always: RedisOptions = { lazyConnect: true, maxRetriesPerRequest: null }
  // Bull rejects connections with a ready check, except for its client.
  return type === 'client' ? { ...options, ...always } : { ...options, ...always, enableReadyCheck: false }
}

function made(connection: unknown): Connection {
  if (typeof (connection as Connection | null | undefined)?.defineCommand === 'function')
    return connection as Connection
  throw new InvalidOptionError(
    'BullHandler: the function given as "redis" made no connection of ioredis: return a new Redis(…), not a promise of one.',
  )
}

/** Limits how long Redis may take to answer on a new connection. ioredis limits only the time to connect. */
function destroyWhereNobodyAnswers(connection: Connection): void {
  connection.on('connect', () => {
    const timer = setTimeout(() => {
      if (connection.status === 'connect') cutLive(connection)
    }, READY_WITHIN).unref()
    for (const event of ['ready', 'close']) connection.once(event, () => clearTimeout(timer))
  })
}

async function end(connection: Connection): Promise<void> {
  if (connection.status === 'ready') {
    const patience = new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_AT_THE_END).unref())
    await Promise.race([connection.quit().catch(() => {}), patience])
  }
  const nodes = nodesOf(connection)
  connection.disconnect()
  for (const node of nodes) cut(node)
}
