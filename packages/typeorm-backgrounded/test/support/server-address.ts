import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './free-port'

/** An address that leads to a server, as a virtual IP or a load balancer does; and a network that can fall silent. */
export class ServerAddress {
  private server!: Server
  private readonly connections = new Set<[client: Socket, server: Socket]>()

  private constructor(
    readonly port: number,
    private target: number,
  ) {}

  static async of(target: number): Promise<ServerAddress> {
    const address = new ServerAddress(await freePort(), target)
    address.server = createServer((client) => address.forward(client)).listen(address.port, '127.0.0.1')
    await once(address.server, 'listening')
    return address
  }

  /** For connections to come; those that are there stay. */
  leadTo(target: number): void {
    this.target = target
  }

  /** Forgets the connections that are there without closing them, as a firewall does; new ones work. */
  forgetAll(): void {
    for (const [client, server] of this.connections) {
      client.removeAllListeners('data')
      server.removeAllListeners('data')
    }
  }

  /** How many were made so far and are open. */
  get open(): number {
    return this.connections.size
  }

  close(): void {
    this.server.close()
    for (const [client, server] of this.connections) {
      client.destroy()
      server.destroy()
    }
  }

  private forward(client: Socket): void {
    const server = connect(this.target, '127.0.0.1')
    const connection: [Socket, Socket] = [client, server]
    this.connections.add(connection)
    client.on('data', (data) => server.write(data))
    server.on('data', (data) => client.write(data))
    for (const socket of connection) {
      socket.on('error', () => {})
      socket.on('close', () => {
        this.connections.delete(connection)
        client.destroy()
        server.destroy()
      })
    }
  }
}
