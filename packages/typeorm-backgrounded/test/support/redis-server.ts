import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from './data-sources'
import { freePort } from './free-port'
import { PrivateServer } from './private-server'
import { ping } from './redis'
import { requireService } from './require-service'

export async function requireRedisServer(context: Mocha.Context): Promise<void> {
  await requireService(context, 'redis-server command', () => promisify(execFile)('redis-server', ['--version']))
}

/** A Redis of a test's own; what it acknowledged is in its append-only file. */
export class RedisServer extends PrivateServer {
  private constructor(
    readonly url: string,
    directory: string,
    flags: readonly string[],
  ) {
    const network = ['--bind', '127.0.0.1', '--port', new URL(url).port]
    const files = ['--dir', directory, '--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
    super({
      file: 'redis-server',
      flags: [...network, ...files, ...flags],
      logFile: join(directory, 'redis.log'),
      ping: () => ping(url),
    })
  }

  static async start(...flags: readonly string[]): Promise<RedisServer> {
    const server = new RedisServer(`redis://127.0.0.1:${await freePort()}`, temporaryDirectory(), flags)
    await server.restart()
    return server
  }
}
