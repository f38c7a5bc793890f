import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { ServerPlace } from './place'

export interface StatementCounter {
  /** The same database, by way of the counter. */
  readonly place: ServerPlace
  /** Statements that the server has completed, of all connections. */
  count(): number
  close(): Promise<void>
}

/**
 * A proxy that counts statements by the server's CommandComplete messages: pg_stat_statements is not loaded everywhere, and
 * pg_stat_database counts transactions, not statements.
 */
export async function countStatements(place: ServerPlace): Promise<StatementCounter> {
  let count = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const database = connect(place.port, place.host)
    const isCompleted = (type: number) => {
      if (type === COMMAND_COMPLETE) count++
    }
    const messages = new MessageReader(isCompleted)
    database.on('data', (chunk: Buffer) => messages.read(chunk))
    client.pipe(database)
    database.pipe(client)
    for (const socket of [client, database]) {
      sockets.add(socket)
      socket.on('error', () => [client, database].forEach((each) => each.destroy()))
      socket.on('close', () => sockets.delete(socket))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    place: { ...place, host: '127.0.0.1', port },
    count: () => count,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const COMMAND_COMPLETE = 'C'.charCodeAt(0)
/** A letter, and the length of what follows, itself included. */
const HEAD = 5

/** Tells the type of each message in what a Postgres server sends. */
export class MessageReader {
  private head = Buffer.alloc(0)
  /** Bytes of the message at hand that are still to come. */
  private left = 0

  constructor(private readonly tell: (type: number) => void) {}

  read(chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0) {
      const skipped = Math.min(this.left, rest.length)
      this.left -= skipped
      rest = rest.subarray(skipped)
      if (rest.length === 0) return
      const taken = rest.subarray(0, HEAD - this.head.length)
      this.head = Buffer.concat([this.head, taken])
      rest = rest.subarray(taken.length)
      if (this.head.length < HEAD) return
      this.tell(this.head.readUInt8(0))
      this.left = this.head.readUInt32BE(1) - (HEAD - 1)
      this.head = Buffer.alloc(0)
    }
  }
}
