import { Redis, type Cluster, type RedisOptions } from 'ioredis'
import { InvalidOptionError } from '../../errors'
import type { Logger } from '../../logger'
import type { ConnectionType, CreateClient } from './redis-option'
import { cut, cutLive, nodesOf } from '../../upstream/ioredis'
import { withoutArguments } from './without-arguments'

export type Connection = Redis | Cluster

const PATIENCE_AT_THE_END = 150
/** Redis says that it is ready within this, in ms, or the connection is one that nobody answers on. */
const READY_WITHIN = 5_000
const GIVE_UP_EVERY = 1_000

/** The connections of one handler. None is made, and none connects, before somebody sends a command. */
export class Connections {
  private readonly opened = new Set<Connection>()
  private sharedClient: Connection | undefined
  private isClosed = false
  private gaveUpAt = -Infinity
  /** Said once, until Redis has answered again. */
  private hasSaid = false

  constructor(
    private readonly redis: RedisOptions | CreateClient,
    private readonly logger: Logger,
  ) {}

  /** The one that all commands of this process share; another where the last one does not connect again by itself. */
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
    destroyWhereNobodyAnswers(connection)
    this.opened.add(connection)
    return connection
  }

  /** One on its way, for Bull, which waits for connections and makes none. */
  connected(type: ConnectionType): Connection {
    const connection = type === 'client' ? this.client : this.open(type)
    if (connection.status === 'wait') connection.connect().catch(() => {}) // it tries again, and its errors are reported
    return connection
  }

  /**
   * Exchanges all connections for new ones, which may lead to another server: this one takes no writes any more, or does
   * not answer. What was sent and not answered is sent again.
   */
  giveUp(reason: string): void {
    const now = performance.now()
    if (this.isClosed || now - this.gaveUpAt < GIVE_UP_EVERY) return
    this.gaveUpAt = now
    if (!this.hasSaid) this.logger.warn({ reason }, 'the connections to Redis are given up for new ones')
    this.hasSaid = true
    for (const connection of this.opened) cutLive(connection)
  }

  /** Redis has answered, and taken a write. */
  answered(): void {
    if (!this.hasSaid) return
    this.hasSaid = false
    this.logger.info({}, 'Redis does what it is asked for again')
  }

  /** Lets what was sent arrive, for a moment, and closes them all. */
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
  // Commands wait for a connection that is on its way; how long a call may wait is the scripts' own deadline.
  const always: RedisOptions = { lazyConnect: true, maxRetriesPerRequest: null }
  // Bull refuses its other connections where Redis is asked whether it is ready.
  return type === 'client' ? { ...options, ...always } : { ...options, ...always, enableReadyCheck: false }
}

function made(connection: unknown): Connection {
  if (typeof (connection as Connection | null | undefined)?.defineCommand === 'function')
    return connection as Connection
  throw new InvalidOptionError(
    'BullHandler: the function given as "redis" made no connection of ioredis: return a new Redis(…), not a promise of one.',
  )
}

/** ioredis bounds how long a connection may take to be there, and not how long Redis may take to answer on it. */
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
