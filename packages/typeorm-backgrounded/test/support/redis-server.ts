import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from './data-sources'
import { freePort } from './free-port'
import { ping } from './redis'
import { requireService } from './require-service'
import { until } from './worker-process'

export async function requireRedisServer(context: Mocha.Context): Promise<void> {
  await requireService(context, 'redis-server command', () => promisify(execFile)('redis-server', ['--version']))
}

/** A Redis of a test's own, to be killed, frozen and restarted; what it acknowledged is in its append-only file. */
export class RedisServer {
  private child?: ChildProcess

  private constructor(
    private readonly port: number,
    private readonly directory: string,
  ) {}

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
    const child = spawn('redis-server', this.flags(), { stdio: 'ignore' })
    this.child = child
    await once(child, 'spawn')
    endWithTests(child)
    const answers = async () => {
      if (hasExited(child)) throw new Error(`redis-server exited: ${this.log()}`)
      return ping(this.url).then(
        () => true,
        () => false,
      )
    }
    await until(answers, 20_000, () => this.log())
  }

  /** As an operator stops it. */
  async stop(): Promise<void> {
    await this.signal('SIGTERM', 'SIGCONT')
  }

  /** As a crash stops it. */
  async kill(): Promise<void> {
    await this.signal('SIGKILL')
  }

  /** Keeps its connections, and answers on none of them. */
  freeze(): void {
    this.child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.child?.kill('SIGCONT')
  }

  /** For the end of a test, in whatever state it left the server. */
  async end(): Promise<void> {
    await this.kill()
  }

  private async signal(...signals: NodeJS.Signals[]): Promise<void> {
    const { child } = this
    if (!child || hasExited(child)) return
    const exited = once(child, 'exit')
    child.ref()
    for (const signal of signals) child.kill(signal)
    await exited
  }

  private flags(): string[] {
    const { port, directory } = this
    const network = ['--bind', '127.0.0.1', '--port', String(port)]
    const files = ['--dir', directory, '--logfile', join(directory, 'redis.log')]
    return [...network, ...files, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
  }

  private log(): string {
    const file = join(this.directory, 'redis.log')
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }
}

const running = new Set<ChildProcess>()

/** A server that a test forgot neither outlives the test run nor keeps it from ending. */
function endWithTests(child: ChildProcess): void {
  child.unref()
  running.add(child)
  child.once('exit', () => running.delete(child))
}

// Before the temporary directories are removed, so that nobody writes to them any more.
process.prependListener('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
