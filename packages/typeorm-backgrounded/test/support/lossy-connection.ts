import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './free-port'

/**
 * A way to a server on which an answer can get lost (the request arrives, and the connection breaks), and whose connections
 * can fall silent, as they do where a firewall has forgotten them, or lead to another server from now on.
 */
export class LossyConnection {
  private server!: Server
  private readonly sockets = new Set<Socket>()
  private readonly silent = new Set<Socket>()
  private loses: string | undefined
  lost = 0

  private constructor(
    private readonly port: number,
    private target: number,
  ) {}

  static async to(url: string): Promise<LossyConnection> {
    const connection = new LossyConnection(await freePort(), Number(new URL(url).port))
    connection.server = createServer((client) => connection.forward(client)).listen(connection.port, '127.0.0.1')
    await once(connection.server, 'listening')
    return connection
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** The next request that holds this text gets no answer. */
  loseAnswerTo(text: string): void {
    this.loses = text
  }

  /** Connections that are there now stay open, and nothing comes through them any more, in either direction. */
  silence(): void {
    for (const socket of this.sockets) this.silent.add(socket)
  }

  /** New connections lead to another server; those that are there stay. */
  leadTo(url: string): void {
    this.target = Number(new URL(url).port)
  }

  /** How many connections there are that are not silent. */
  get open(): number {
    return [...this.sockets].filter((socket) => !this.silent.has(socket)).length / 2
  }

  close(): void {
    this.server.close()
    for (const socket of this.sockets) socket.destroy()
  }

  private forward(client: Socket): void {
    const server = connect(this.target, '127.0.0.1')
    let isLosing = false
    client.on('data', (data) => {
      if (this.silent.has(client)) return
      if (this.loses !== undefined && data.includes(this.loses)) {
        isLosing = true
        this.loses = undefined
      }
      server.write(data)
    })
    server.on('data', (data) => {
      if (this.silent.has(server)) return undefined
      if (!isLosing) return client.write(data)
      this.lost++
      client.destroy()
      return server.destroy()
    })
    for (const socket of [client, server]) {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
  }
}
