import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from './data-sources'
import { freePort } from './free-port'
import { ping } from './redis'
import { requireService } from './require-service'
import { ServerProcess } from './server-process'

export async function requireRedisServer(context: Mocha.Context): Promise<void> {
  await requireService(context, 'redis-server command', () => promisify(execFile)('redis-server', ['--version']))
}

/** A Redis of a test's own, to be killed, frozen and restarted; what it acknowledged is in its append-only file. */
export class RedisServer {
  private readonly process: ServerProcess

  private constructor(
    private readonly port: number,
    directory: string,
  ) {
    const network = ['--bind', '127.0.0.1', '--port', String(port)]
    const files = ['--dir', directory, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
    this.process = new ServerProcess({
      file: 'redis-server',
      flags: [...network, ...files],
      logFile: join(directory, 'redis.log'),
      ping: () => ping(this.url),
    })
  }

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), temporaryDirectory())
    await server.restart()
    return server
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** On the same port, with what the append-only file holds. */
  async restart(): Promise<void> {
    await this.stop()
    await this.process.start()
  }

  /** As an operator stops it. */
  async stop(): Promise<void> {
    await this.process.end('SIGTERM', 'SIGCONT')
  }

  /** As a crash stops it. */
  async kill(): Promise<void> {
    await this.process.end('SIGKILL')
  }

  /** Keeps its connections, and answers on none of them. */
  freeze(): void {
    this.process.signal('SIGSTOP')
  }

  thaw(): void {
    this.process.signal('SIGCONT')
  }

  /** For the end of a test, in whatever state it left the server. */
  async end(): Promise<void> {
    await this.kill()
  }
}
